import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CliConfig, readConfig } from "../config.ts";
import { UsageError } from "../output/failure.ts";
import { CredentialsFile } from "./credentials-file.ts";
import { findServer, openSession, serverAddress } from "./session.ts";

let folder: string;
let config: CliConfig;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vp-cli-"));
  config = { ...readConfig({ HOME: folder }), laptopFolder: join(folder, ".vp") };
  await mkdir(config.laptopFolder);
});
afterEach(() => rm(folder, { recursive: true }));

const laptop = { gateway_url: "http://127.0.0.1:4000", notifier_url: "http://127.0.0.1:4001" };
const runLaptop = () => writeFile(join(config.laptopFolder, "state.json"), JSON.stringify(laptop));
const signIn = (server: string, notifier_url?: string) =>
  new CredentialsFile(config.credentialsFile).update((credentials) => {
    const login = { email: "a@b.c", access_token: "t", expires_at: Date.now() + 600_000, refresh_token: "r" };
    credentials.current = server;
    credentials.servers[server] = { ...login, ...(notifier_url === undefined ? {} : { notifier_url }) };
  });

test("the address is that of --server, VP_SERVER, the last login, or ./vp up, in this order", async () => {
  await expect(findServer(config, {})).rejects.toThrow(UsageError);
  await runLaptop();
  expect(await findServer(config, {})).toEqual({
    server: laptop.gateway_url,
    notifier: laptop.notifier_url,
    isLaptop: true,
  });
  await signIn("https://vision.example.org", "https://live.example.org");
  expect(await findServer(config, {})).toMatchObject({
    server: "https://vision.example.org",
    notifier: "https://live.example.org",
  });
  const set = { ...config, server: "http://set:1", notifier: "http://live:2" };
  expect(await findServer(set, {})).toMatchObject({
    server: "http://set:1",
    notifier: "http://live:2",
    isLaptop: false,
  });
  const options = { server: "http://given:3/", notifier: "http://given:4" };
  expect(await findServer(set, options)).toMatchObject({ server: "http://given:3", notifier: "http://given:4" });
});

test("a server without a known notifier has none", async () => {
  await runLaptop();
  expect((await findServer(config, { server: "http://elsewhere:1" })).notifier).toBeUndefined();
});

test.each(["", "localhost:8080", "ftp://x", "not an address"])("%s is no address", (text) => {
  expect(() => serverAddress(text)).toThrow(UsageError);
});

test("an API key wins over a login; without either one is told how to sign in", async () => {
  const server = "http://elsewhere:1";
  await expect((await openSession(config, { server })).tokens.get()).rejects.toMatchObject({
    status: 401,
    code: "signed_out",
  });
  await signIn(server);
  expect(await (await openSession(config, {})).tokens.get()).toBe("t");
  expect(await (await openSession({ ...config, token: "vp_key" }, {})).tokens.get()).toBe("vp_key");
});
