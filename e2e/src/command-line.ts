/** ./vp as a person with a home directory of their own types it, against a platform of the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { CHECKOUT, type Platform } from "./platform.ts";

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}
export interface Running {
  child: ChildProcess;
  said: { out: string; err: string };
  ended: Promise<Ended>;
}
export interface CommandLine {
  home: string;
  start(args: string[], input?: string): Running;
  /** The same, to its end. */
  vp(args: string[], input?: string): Promise<Ended>;
}

/** Signed in as a new account. Throws when that fails. */
export async function openCommandLine(platform: Platform, name: string): Promise<CommandLine> {
  const home = join(platform.folder, `home-${name}`);
  mkdirSync(home);
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: home,
    VP_SERVER: platform.gateway_url,
    VP_NOTIFIER: platform.notifier_url,
  };
  const start = (args: string[], input = ""): Running => {
    const child = spawn(process.execPath, [join(CHECKOUT, "services/cli/src/main.ts"), ...args], {
      env,
      stdio: "pipe",
    });
    const said = { out: "", err: "" };
    child.stdout.on("data", (chunk) => (said.out += String(chunk)));
    child.stderr.on("data", (chunk) => (said.err += String(chunk)));
    child.stdin.end(input);
    return { child, said, ended: once(child, "close").then(([code]) => ({ code, ...said })) };
  };
  const vp = (args: string[], input?: string) => start(args, input).ended;
  const account = ["--email", `${name}@example.com`, "--name", name, "--password-stdin"];
  const login = await vp(["login", "--register", ...account], "correct horse battery");
  if (login.code !== 0) throw new Error(`login failed: ${login.err}`);
  return { home, start, vp };
}

/** The objects of NDJSON. */
export function records(text: string) {
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}
