import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { baseEnvironment } from "./config.ts";
import type { Part } from "./part.ts";
import { findOnPath } from "./redis-binary.ts";

/**
 * The embedded S3 server on a loopback port, with one bucket: versitygw where it is on PATH, else s3rver from npm.
 * Each keeps its objects in its own folder under `dir`, because their layouts differ.
 */
export function s3Part(options: {
  dir: string;
  port: number;
  bucket: string;
  accessKeyId: string;
  secretAccessKey: string;
}): Part {
  const { dir, port, bucket } = options;
  const versitygw = findOnPath("versitygw");
  const data = join(dir, versitygw ? "versitygw" : "s3rver");
  mkdirSync(join(data, bucket), { recursive: true, mode: 0o700 });
  const common = {
    name: "s3",
    cwd: dir,
    stopSignal: "SIGTERM" as const,
    ready: () => answersHttp(port),
    address: `http://127.0.0.1:${port}/${bucket}`,
  };
  if (versitygw) {
    return {
      ...common,
      command: versitygw,
      args: ["--port", `127.0.0.1:${port}`, "posix", data],
      env: {
        ...baseEnvironment(),
        ROOT_ACCESS_KEY: options.accessKeyId,
        ROOT_SECRET_KEY: options.secretAccessKey,
      },
    };
  }
  return {
    ...common,
    command: process.execPath,
    args: [resolve(import.meta.dirname, "s3-server.ts"), data, String(port), bucket],
    env: {
      ...baseEnvironment(),
      NODE_ENV: "production",
      S3_ACCESS_KEY_ID: options.accessKeyId,
      S3_SECRET_ACCESS_KEY: options.secretAccessKey,
    },
  };
}

/** Null when anything answers over HTTP: an S3 server that refuses the unsigned request is awake. */
async function answersHttp(port: number): Promise<string | null> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1_000) });
    await answer.body?.cancel();
    return null;
  } catch {
    return "the S3 server does not answer yet";
  }
}
