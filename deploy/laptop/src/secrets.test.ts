import { mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ensureSecrets } from "./secrets.ts";

const file = () => join(mkdtempSync(join(tmpdir(), "vp-secrets-")), "secrets.json");

test("secrets are made once, different each time, for their owner only", () => {
  const path = file();
  const first = ensureSecrets(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(ensureSecrets(path)).toEqual(first);
  expect(ensureSecrets(file()).jwt_secret).not.toBe(first.jwt_secret);
});

test("a damaged file is not replaced: the data was made with the old secrets", () => {
  const path = file();
  writeFileSync(path, "{");
  expect(() => ensureSecrets(path)).toThrow(/damaged/);
  expect(readFileSync(path, "utf8")).toBe("{");
});
