/** The script trainer in a container image, for tests of launchers that run trainers in containers. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import packageFile from "../../package.json" with { type: "json" };

const BASE = `vision-platform-worker:${packageFile.version}`;
const FOLDER = "/app/services/worker/src/testing";

/** What a launch of it runs: the framework is `scripted`. */
export const SCRIPTED_COMMAND = ["node", `${FOLDER}/script-trainer.ts`];

/** The service image has everything that the script trainer imports; only tests' folders are left out of it. */
const DOCKERFILE = `
FROM ${BASE}
COPY *.ts ${FOLDER}/
LABEL vision-platform.framework=scripted
ENV NODE_ENV=test
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["/usr/bin/tini", "--"]
`;

async function docker(args: string[], input = ""): Promise<{ code: number; output: string }> {
  const child = spawn("docker", args, { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (child.exitCode === null) await once(child, "exit");
  return { code: child.exitCode ?? 1, output: `${stdout}${stderr}`.trim() };
}

/**
 * Its reference, such as vision-platform-scripted:0f3a…; made when it is not there. Rejects without an engine or without
 * the worker's image (./vp images build worker).
 */
export async function scriptedImage(): Promise<string> {
  const base = await docker(["image", "inspect", "--format", "{{.Id}}", BASE]);
  if (base.code !== 0) throw new Error(`${BASE} is not there (./vp images build worker): ${base.output}`);
  const hash = createHash("sha256").update(base.output).update(DOCKERFILE);
  for (const file of globSync(join(import.meta.dirname, "*.ts")).sort()) hash.update(readFileSync(file));
  const reference = `vision-platform-scripted:${hash.digest("hex").slice(0, 12)}`;
  if ((await docker(["image", "inspect", reference])).code === 0) return reference;
  const built = await docker(["build", "--quiet", "--tag", reference, "--file", "-", import.meta.dirname], DOCKERFILE);
  if (built.code !== 0) throw new Error(`docker build failed: ${built.output.slice(-2_000)}`);
  return reference;
}

/** For whoever must not import this folder: prints the reference. */
if (import.meta.main) process.stdout.write(`${await scriptedImage()}\n`);
