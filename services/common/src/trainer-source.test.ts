import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { sourceFiles, sourceHash } from "./trainer-source.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "vp-trainer-source-"));
  for (const path of ["toy/pyproject.toml", "toy/trainer.json", "toy/src/toy/main.py", "sdk/pyproject.toml"]) add(path);
});
afterEach(() => rmSync(dir, { recursive: true }));

function add(path: string, text = path): void {
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  writeFileSync(join(dir, path), text);
}

const hash = () => sourceHash(dir, "toy");

it("is the same in another checkout, whenever and by whomever it was made", () => {
  const copy = mkdtempSync(join(tmpdir(), "vp-trainer-source-"));
  cpSync(dir, copy, { recursive: true });
  chmodSync(join(copy, "toy/trainer.json"), 0o600);
  utimesSync(join(copy, "toy/trainer.json"), 0, 0);
  expect(hash()).toMatch(/^[0-9a-f]{64}$/);
  expect(sourceHash(copy, "toy")).toBe(hash());
  rmSync(copy, { recursive: true });
});

it.each<[string, () => void]>([
  ["a file of the trainer changes", () => appendFileSync(join(dir, "toy/src/toy/main.py"), "#")],
  ["its lock changes", () => add("toy/requirements.lock", "six==1.17.0\n")],
  ["the kit changes", () => add("sdk/src/kit.py")],
  ["a file has another name", () => renameSync(join(dir, "toy/src/toy/main.py"), join(dir, "toy/src/toy/other.py"))],
  ["a file may be run", () => chmodSync(join(dir, "toy/src/toy/main.py"), 0o755)],
  ["a link leads elsewhere", () => symlinkSync("main.py", join(dir, "toy/src/toy/link.py"))],
])("is another one when %s", (_what, change) => {
  const before = hash();
  change();
  expect(hash()).not.toBe(before);
});

it("leaves out what is in no image, and other trainers", () => {
  const before = hash();
  const caches = ["toy/src/toy/__pycache__/main.pyc", "toy/.venv/bin/python", "toy/src/toy.egg-info/PKG-INFO"];
  const own = ["toy/tests/test_toy.py", "toy/bench/run.py", "toy/requirements-dev.lock", "sdk/tests/test_kit.py"];
  for (const path of [...caches, ...own, "toy/build/lib/toy.py", "other/src/other.py"]) add(path);
  expect(hash()).toBe(before);
  add("toy/src/toy/tests/part_of_it.py");
  expect(sourceFiles(dir, "toy")).toEqual([
    "sdk/pyproject.toml",
    "toy/pyproject.toml",
    "toy/src/toy/main.py",
    "toy/src/toy/tests/part_of_it.py",
    "toy/trainer.json",
  ]);
});

it("is null where a trainer cannot be built from what is there", () => {
  rmSync(join(dir, "toy/pyproject.toml"));
  expect(hash()).toBeNull();
});
