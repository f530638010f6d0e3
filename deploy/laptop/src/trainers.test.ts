import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { allTrainers, enabledTrainers, offTrainers, pythonProjects } from "./trainers.ts";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "vp-trainers-"));
  const trainer = (framework: string, manifest: object) => {
    mkdirSync(join(root, "trainers", framework), { recursive: true });
    const file = join(root, "trainers", framework, "trainer.json");
    writeFileSync(file, JSON.stringify({ framework, title: framework, enabled: true, ...manifest }));
  };
  trainer("plain", {});
  trainer("strict", { enabled: false, notice: "Its licence is AGPL-3.0." });
  trainer("tool_1", { enabled: false, listed: false });
  mkdirSync(join(root, "trainers", "kit"));
  writeFileSync(join(root, "trainers", "kit", "pyproject.toml"), "");
});
afterAll(() => rmSync(root, { recursive: true }));

const names = (trainers: { framework: string }[]) => trainers.map(({ framework }) => framework);

test("a framework is on by its manifest or by ENABLED_FRAMEWORKS", () => {
  expect(names(enabledTrainers({}, root))).toEqual(["plain"]);
  expect(names(enabledTrainers({ ENABLED_FRAMEWORKS: " tool_1, strict,," }, root))).toEqual([
    "plain",
    "strict",
    "tool_1",
  ]);
  expect(names(allTrainers({}, root))).toEqual(["plain", "strict", "tool_1"]);
});

test("what is off is told with the reason, but not what is for tests", () => {
  const why = "off: Its licence is AGPL-3.0. (ENABLED_FRAMEWORKS=strict ./vp up turns it on)";
  expect(offTrainers({}, root)).toEqual([{ framework: "strict", why }]);
  expect(offTrainers({ ENABLED_FRAMEWORKS: "strict" }, root)).toEqual([]);
});

test("a name that is no framework's is refused", () => {
  expect(() => enabledTrainers({ ENABLED_FRAMEWORKS: "strict,yolo" }, root)).toThrow(
    "ENABLED_FRAMEWORKS: there is no framework yolo; there are plain, strict, tool_1",
  );
});

test("only Python projects have an environment", () => {
  expect(pythonProjects(root).map((dir) => basename(dir))).toEqual(["kit"]);
});
