import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SERVICE_NODE_OPTIONS } from "@vision-platform/common/node-options";
import { sourceHash } from "@vision-platform/common/trainer-source";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bakeFile, reference, withoutUser } from "./images-build.ts";
import { isolationOf } from "./images-isolation.ts";
import { allImages, chosenImages } from "./images-plan.ts";
import { holdsSecret } from "./images-test.ts";
import { ROOT } from "./paths.ts";

const settings = { IMAGE_REGISTRY: "", IMAGE_TAG: "1.2.3", BASE_IMAGE: undefined, NODE_IMAGE: undefined };

/** A checkout whose frameworks are the ones given, beside the real layers. */
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "vp-images-plan-"));
  cpSync(join(ROOT, "deploy/images/torch.lock"), join(root, "deploy/images/torch.lock"));
  mkdirSync(join(root, "trainers/sdk"), { recursive: true });
  for (const file of ["requirements.lock", "pyproject.toml"]) {
    cpSync(join(ROOT, "trainers/sdk", file), join(root, "trainers/sdk", file));
  }
});
afterEach(() => rmSync(root, { recursive: true }));

function addTrainer(framework: string, environment: Record<string, unknown>, lock: string): void {
  const dir = join(root, "trainers", framework);
  mkdirSync(dir, { recursive: true });
  const kinds = { train: { command: ["python", "-m", `${framework}_trainer`] } };
  const manifest = { framework, title: framework, license: "MIT", enabled: true, kinds };
  writeFileSync(
    join(dir, "trainer.json"),
    JSON.stringify({ ...manifest, environment: { lock: "r.lock", ...environment } }),
  );
  writeFileSync(join(dir, "pyproject.toml"), "[project]\n");
  writeFileSync(join(dir, "r.lock"), lock);
}

describe("images of frameworks", () => {
  it("come from a folder under trainers/ and nothing else", () => {
    addTrainer("toy", { system_packages: ["git", "libfoo1"] }, "six==1.17.0\n");
    const image = chosenImages(["toy"], root)[0];
    expect(image).toMatchObject({ repository: "vision-platform-toy", target: "trainer", license: "MIT", usual: true });
    expect(image?.args).toEqual({
      FRAMEWORK: "toy",
      LOCK: "r.lock",
      LICENSE: "MIT",
      TRAINER_PARENT: "python-layers",
      SYSTEM_PACKAGES: "git libfoo1",
      SOURCE_HASH: sourceHash(join(root, "trainers"), "toy"),
    });
    expect(allImages(root).map(({ name }) => name)).toContain("worker-toy");
  });

  it("may share the torch layer only with its very versions", () => {
    addTrainer("toy", { torch: true }, "torch==2.0.0\n");
    expect(() => allImages(root)).toThrow(/torch==2\.15\.0.*environment\.torch to false/s);
  });

  it("cannot smuggle options into apt", () => {
    addTrainer("toy", { system_packages: ["git --option"] }, "six==1.17.0\n");
    expect(() => allImages(root)).toThrow(/environment\.system_packages\.0/);
  });

  it("need their lock", () => {
    addTrainer("toy", { lock: "none.lock" }, "");
    expect(() => allImages(root)).toThrow(/environment\.lock: there is no .*none\.lock/);
  });

  it("hold their own packages and none of the others", () => {
    addTrainer("one", {}, "boto3==1.44.5\nAlpha_Kit==1\n");
    addTrainer("two", {}, "boto3==1.44.5\nbeta.kit==2 ; python_version > '3'\n");
    const images = allImages(root);
    const one = images.find(({ name }) => name === "one");
    expect(one && isolationOf(one, images, root)).toEqual({
      own: ["one_trainer"],
      ownPackages: ["alpha-kit"],
      foreign: ["two_trainer"],
      foreignPackages: ["beta-kit"],
    });
  });

  it("of this checkout can all be planned, each from its own manifest", () => {
    const images = allImages();
    for (const name of ["timm", "huggingface", "ultralytics"]) {
      expect(images.find((image) => image.name === name)?.args.TRAINER_PARENT).toBe("torch-layers");
    }
    expect(images.find(({ name }) => name === "ultralytics")?.license).toBe("AGPL-3.0-only");
  });
});

describe("the Dockerfile", () => {
  const dockerfile = readFileSync(join(ROOT, "deploy/images/Dockerfile"), "utf8");

  it("starts Node as every other shape of the platform does", () => {
    expect(dockerfile).toContain(`\nARG SERVICE_NODE_OPTIONS="${SERVICE_NODE_OPTIONS.join(" ")}"\n`);
  });
});

describe("plans", () => {
  it("name images as workers name them, and stamp them", () => {
    addTrainer("toy", {}, "six==1.17.0\n");
    const [image] = chosenImages(["toy"], root);
    if (!image) throw new Error("no image");
    const stamp = { version: "1.2.3", revision: "abc", source: "" };
    expect(bakeFile([image], stamp, { variant: "cpu", settings, root })).toMatchObject({
      target: {
        toy: { tags: ["vision-platform-toy:1.2.3"], args: { VARIANT: "cpu", REVISION: "abc", FRAMEWORK: "toy" } },
      },
    });
    expect(reference(image, { ...settings, IMAGE_REGISTRY: "registry.example.org/v/" })).toBe(
      "registry.example.org/v/vision-platform-toy:1.2.3",
    );
  });

  it("list the names when one is unknown", () => {
    expect(() => chosenImages(["tim"])).toThrow(/no image tim; there are base, torch, gateway/);
  });

  it.each([
    ["https://user:word@git.example.org/a/b.git", "https://git.example.org/a/b.git"],
    ["git@git.example.org:a/b.git", "git.example.org:a/b.git"],
    ["/home/me/b", ""],
    ["file:///home/me/b", ""],
  ])("tell of the source %s only %s", (remote, told) => expect(withoutUser(remote)).toBe(told));

  it.each([
    ["ENV NPM_TOKEN=abc", true],
    ["|1 DB_PASSWORD=hunter2 /bin/sh", true],
    ["GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D", false],
    ["PATH=/opt/trainer/bin:/usr/bin", false],
    ["FRAMEWORK=timm LOCK=requirements.lock", false],
  ])("%s holds a secret: %s", (text, secret) => expect(holdsSecret(text)).toBe(secret));
});
