import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openBoundedFile } from "./bounded-file.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vp-bounded-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("keeps all of what fits", async () => {
  const file = await openBoundedFile(join(folder, "log"), 100);
  await file.write(Buffer.from("one\n"));
  await file.note("a remark");
  await file.close();
  expect(readFileSync(join(folder, "log"), "utf8")).toBe("one\n\n… a remark …\n");
});

it("keeps the beginning and the end of what does not, and says how much is missing", async () => {
  const file = await openBoundedFile(join(folder, "log"), 10);
  await file.write(Buffer.from("0123456789"));
  for (let line = 0; line < 40; line += 1) await file.write(Buffer.alloc(65_536, 97 + (line % 26)));
  await file.write(Buffer.from("the end"));
  await file.close();
  const text = readFileSync(join(folder, "log"), "utf8");
  const leftOut = Number(/… (\d+) bytes left out here …/.exec(text)?.[1]);
  expect(text.startsWith("0123456789\n…")).toBe(true);
  expect(text.endsWith("the end")).toBe(true);
  const note = Buffer.byteLength(`\n… ${leftOut} bytes left out here …\n`);
  expect(Buffer.byteLength(text) - note + leftOut).toBe(10 + 40 * 65_536 + 7);
});

it("rejects where there is no folder for it", async () => {
  await expect(openBoundedFile(join(folder, "none", "log"), 10)).rejects.toThrow("ENOENT");
});
