/** The script trainer in a container image, for tests of launchers that run trainers in containers. */
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import packageFile from "../../package.json" with { type: "json" };
import { docker } from "./docker-command.ts";

/** Has tini and all that the script trainer imports. */
export const WORKER_IMAGE = `vision-platform-worker:${packageFile.version}`;
const FOLDER = "/app/services/worker/src/testing";

/** What a launch of it runs: the framework is `scripted`. */
export const SCRIPTED_COMMAND = ["node", `${FOLDER}/script-trainer.ts`];

/** The service image has everything that the script trainer imports; only tests' folders are left out of it. */
const DOCKERFILE = `
FROM ${WORKER_IMAGE}
COPY *.ts ${FOLDER}/
LABEL vision-platform.framework=scripted
ENV NODE_ENV=test
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["/usr/bin/tini", "--"]
`;

/**
 * Its reference, such as vision-platform-scripted:0f3a…; made when it is not there. Rejects without an engine or without
 * the worker's image (./vp images build worker).
 */
export async function scriptedImage(): Promise<string> {
  const base = await docker(["image", "inspect", "--format", "{{.Id}}", WORKER_IMAGE]);
  if (base.code !== 0) throw new Error(`${WORKER_IMAGE} is not there (./vp images build worker): ${base.output}`);
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
