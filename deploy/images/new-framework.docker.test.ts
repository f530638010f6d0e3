/** A framework that did not exist: a folder under trainers/ becomes an image, and a change of its code becomes one small layer. */
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { SOURCE_LABEL, sourceFiles, sourceHash } from "@vision-platform/common/trainer-source";
import { buildImages, reference } from "@vision-platform/laptop/images-build";
import { docker, engineAnswers, imageFacts, runEnclosed, searchFiles } from "@vision-platform/laptop/images-docker";
import { chosenImages } from "@vision-platform/laptop/images-plan";
import { ROOT } from "@vision-platform/laptop/paths";
import { createProgress } from "@vision-platform/laptop/progress";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const answers = await engineAnswers();
if (!answers) process.stderr.write("skipped: no Docker engine answers, so no new framework's image is built\n");

const settings = { IMAGE_REGISTRY: "", IMAGE_TAG: `test-${process.pid}`, BASE_IMAGE: undefined, NODE_IMAGE: undefined };
let root: string;

function addToy(): void {
  const dir = join(root, "trainers/toy");
  mkdirSync(join(dir, "src/toy_trainer"), { recursive: true });
  writeFileSync(join(dir, "pyproject.toml"), '[project]\nname = "toy-trainer"\nversion = "1"\n');
  cpSync(join(ROOT, "trainers/stub/requirements.lock"), join(dir, "requirements.lock"));
  const kinds = { train: { command: ["python", "-m", "toy_trainer"] } };
  const manifest = { framework: "toy", title: "Toy", license: "MIT", enabled: true, kinds };
  writeFileSync(join(dir, "trainer.json"), JSON.stringify({ ...manifest, environment: { lock: "requirements.lock" } }));
  writeFileSync(join(dir, "src/toy_trainer/__init__.py"), "");
  writeFileSync(join(dir, "src/toy_trainer/__main__.py"), "import vision_trainer\nprint('toy', 1)\n");
}

async function build() {
  const [image] = chosenImages(["toy"], root);
  if (!image) throw new Error("there is no image toy");
  const options = { variant: "cuda", push: false, settings, root } as const;
  const seconds = await buildImages([image], options, createProgress("silent", 1));
  const facts = await imageFacts(reference(image, settings), "toy");
  return { seconds, layers: facts.RootFS.Layers, source: facts.Config.Labels?.[SOURCE_LABEL] };
}

/** What lies in the image of sources, but for the bytecode that its build adds. */
async function copied(name: string): Promise<string[]> {
  const find = "cd /opt/vision-platform/trainers && find . ! -type d ! -path '*/__pycache__/*'";
  return (await searchFiles(name, find))
    .trim()
    .split("\n")
    .map((path) => path.slice("./".length))
    .sort();
}

describe.skipIf(!answers)("a folder under trainers/", () => {
  const name = `vision-platform-toy:${settings.IMAGE_TAG}`;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "vp-new-framework-"));
    for (const path of ["LICENSE", "deploy/images", "deploy/laptop/requirements-uv.lock", "trainers/sdk"]) {
      cpSync(join(ROOT, path), join(root, path), { recursive: true });
    }
    addToy();
  });
  afterAll(async () => {
    rmSync(root, { recursive: true });
    await docker(["image", "rm", "--force", name]).catch(() => undefined);
  });

  it("is all that its image needs; a change of its code changes the last layer only", async () => {
    const first = await build();
    expect(await runEnclosed(name, ["python", "-m", "toy_trainer"], 10_001)).toBe("toy 1\n");

    appendFileSync(join(root, "trainers/toy/src/toy_trainer/__main__.py"), "print('changed')\n");
    const second = await build();
    expect(await runEnclosed(name, ["python", "-m", "toy_trainer"], 10_001)).toBe("toy 1\nchanged\n");
    expect(second.layers.slice(0, -1)).toEqual(first.layers.slice(0, -1));
    expect(second.layers.at(-1)).not.toBe(first.layers.at(-1));
    expect(second.source).not.toBe(first.source);
    process.stderr.write(`a change of a trainer's code: its image is there after ${second.seconds.toFixed(1)} s\n`);
  }, 600_000);

  it("is what the hash in the image's label is of: its very files and the kit's", async () => {
    for (const left of [
      "tests/test_toy.py",
      "src/toy.egg-info/PKG-INFO",
      ".venv/bin/python",
      "requirements-dev.lock",
    ]) {
      mkdirSync(dirname(join(root, "trainers/toy", left)), { recursive: true });
      writeFileSync(join(root, "trainers/toy", left), "");
    }
    const { source } = await build();
    expect(source).toBe(sourceHash(join(root, "trainers"), "toy"));
    expect(await copied(name)).toEqual(sourceFiles(join(root, "trainers"), "toy"));
  }, 600_000);
});
