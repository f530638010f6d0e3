import { mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { choosePorts } from "./ports.ts";

test("ports are distinct, kept while free, and given up when taken", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "vp-ports-")), "ports.json");
  const first = await choosePorts(["gateway", "notifier"], file);
  expect(first.gateway).not.toBe(first.notifier);
  expect(await choosePorts(["gateway", "notifier"], file)).toEqual(first);

  const other = createServer();
  await new Promise<void>((done) => other.listen(first.gateway, "127.0.0.1", done));
  const second = await choosePorts(["gateway", "notifier"], file);
  expect(second.gateway).not.toBe(first.gateway);
  expect(second.notifier).toBe(first.notifier);
  await new Promise((done) => other.close(done));
});
