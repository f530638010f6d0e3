/** A run's counts come from real reports of vitest and pytest, over files that pass, fail, break and are skipped. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "./paths.ts";
import { type Context, pytest, vitest } from "./test-programs.ts";

let folder: string;
beforeAll(() => {
  // Inside the checkout: that is where its vitest looks. Ignored by git.
  mkdirSync(join(ROOT, ".vp"), { recursive: true });
  folder = mkdtempSync(join(ROOT, ".vp/test-programs-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function counted(content: string) {
  writeFileSync(join(folder, "some.test.ts"), content);
  writeFileSync(join(folder, "vitest.config.ts"), "export default { test: { include: ['**/*.test.ts'] } };\n");
  const context = { run: quiet, env: {} as Context["env"], reports: folder };
  return await vitest(context, ["--root", folder, "--config", join(folder, "vitest.config.ts")]);
}

/** What breaks on purpose is not shown: it would read as this run's own. */
const quiet: Context["run"] = (command, args, { cwd }) =>
  new Promise((done) => spawn(command, args, { cwd, stdio: "ignore" }).once("exit", (code) => done(code ?? 1)));

const HEAD = 'import { expect, it } from "vitest";\n';

it("tells of every test that failed, and why", async () => {
  const counts = await counted(
    `${HEAD}it("holds", () => {}); it.skip("later", () => {}); it("breaks", () => expect(1).toBe(2));`,
  );
  expect(counts).toMatchObject({ passed: 1, failed: 1, skipped: 1 });
  expect(counts.failures).toEqual([
    expect.stringMatching(/some\.test\.ts › breaks — AssertionError: expected 1 to be 2/),
  ]);
});

it("counts a file that breaks before its first test, and one without any", async () => {
  expect(await counted('throw new Error("no such table");')).toMatchObject({
    ...{ passed: 0, failed: 1 },
    failures: [expect.stringMatching(/some\.test\.ts — .*no such table/)],
  });
  expect(await counted("export {};")).toMatchObject({ passed: 0, failed: 1 });
});

it("tells the same of pytest, whose fixtures fail too", async () => {
  const file = join(folder, "test_some.py");
  writeFileSync(
    file,
    [
      "import pytest",
      "def test_holds(): pass",
      "def test_breaks():",
      '    raise ValueError("a < b")',
      "@pytest.fixture",
      'def broken(): raise RuntimeError("no table")',
      "def test_never(broken): pass",
      "@pytest.mark.skip",
      "def test_later(): pass",
    ].join("\n"),
  );
  const context = { run: quiet, env: {} as Context["env"], reports: folder };
  const counts = await pytest(context, join(ROOT, "trainers/stub"), ["--rootdir", folder, file]);
  expect(counts).toMatchObject({ passed: 1, failed: 2, skipped: 1 });
  expect(counts.failures).toEqual([
    expect.stringMatching(/::test_breaks — ValueError: a < b/),
    expect.stringMatching(/::test_never — .*no table/),
  ]);
});
