import { mkdtemp, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Credentials, CredentialsFile } from "./credentials-file.ts";

let folder: string;
let file: CredentialsFile;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vp-cli-"));
  file = new CredentialsFile(join(folder, "deep", "credentials.json"));
});
afterEach(() => rm(folder, { recursive: true }));

function remember(name: string, token: string) {
  return (credentials: Credentials) => {
    credentials.servers[name] = login(token);
  };
}
const login = (token: string) => ({ email: "a@b.c", access_token: token, expires_at: 1, refresh_token: "r" });

test("is for the owner's eyes only, and empty before the first login", async () => {
  expect(await file.read()).toEqual({ servers: {} });
  await file.update(remember("here", "t"));
  expect((await stat(file.path)).mode & 0o777).toBe(0o600);
  expect((await file.read()).servers.here?.access_token).toBe("t");
});

test("changes made at once all arrive, one after the other", async () => {
  const names = Array.from({ length: 20 }, (_, index) => `server-${index}`);
  await Promise.all(names.map((name) => new CredentialsFile(file.path).update(remember(name, name))));
  expect(Object.keys((await file.read()).servers).sort()).toEqual([...names].sort());
});

test("a lock whose owner was killed is taken over", async () => {
  await file.update(() => undefined);
  const lock = `${file.path}.lock`;
  await writeFile(lock, "");
  const old = new Date(Date.now() - 60_000);
  await utimes(lock, old, old);
  await file.update(remember("here", "t"));
  expect((await file.read()).servers.here?.access_token).toBe("t");
});

test("a damaged file is told, not overwritten", async () => {
  await file.update(() => undefined);
  await writeFile(file.path, "{");
  await expect(file.read()).rejects.toThrow(/damaged/);
  expect(await readFile(file.path, "utf8")).toBe("{");
});
