/** A real image registry (Debian's package of CNCF Distribution) in a container of its own, with one image in it. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { docker, dockerDone } from "../../../testing/docker-command.ts";
import { WORKER_IMAGE } from "../../../testing/scripted-image.ts";

export const REGISTRY_USER = { name: "reader", password: "opens-the-registry" };

const IMAGE = "vision-platform-testing-registry";
/** On an image that is there already: no base image has to be asked for. */
const DOCKERFILE = `
FROM ${WORKER_IMAGE}
USER 0:0
RUN apt-get update -q \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends docker-registry apache2-utils \\
 && htpasswd -Bbn ${REGISTRY_USER.name} ${REGISTRY_USER.password} >/htpasswd
RUN printf 'version: 0.1\\nstorage: {filesystem: {rootdirectory: /registry}}\\nhttp: {addr: ":5000"}\\n' >/registry.yml
ENTRYPOINT ["docker-registry", "serve", "/registry.yml"]
`;
/** Asks for name and password. */
const LOCKED = [
  "REGISTRY_AUTH=htpasswd",
  "REGISTRY_AUTH_HTPASSWD_REALM=tests",
  "REGISTRY_AUTH_HTPASSWD_PATH=/htpasswd",
];

export interface Registry {
  /** Where it listens on this machine's loopback. */
  port(): Promise<number>;
  /** Another one with the same content that wants REGISTRY_USER's password. */
  locked(): Promise<Registry>;
  kill(): Promise<void>;
  remove(): Promise<void>;
}

/** Makes the registry's image (seconds, once). False, with the reason on stderr, where its package cannot be had. */
export async function registryThere(): Promise<boolean> {
  const { code, output } = await docker(["build", "--quiet", "--tag", IMAGE, "-"], DOCKERFILE);
  if (code !== 0) process.stderr.write(`skipped: no image registry can be made here: ${output.slice(-500)}\n`);
  return code === 0;
}

/** Empty. Remove it in `afterAll`. */
export async function startRegistry(...options: string[]): Promise<Registry> {
  const name = `vp-test-registry-${randomBytes(4).toString("hex")}`;
  const place = ["--name", name, "--publish", "127.0.0.1::5000", "--volume", "/registry"];
  await dockerDone("run", "--detach", ...place, ...options, IMAGE);
  return {
    async port() {
      const address = await dockerDone("port", name, "5000");
      return Number(address.split(":").at(-1));
    },
    locked: () => startRegistry("--volumes-from", name, ...LOCKED.flatMap((setting) => ["--env", setting])),
    kill: async () => void (await dockerDone("kill", name)),
    remove: async () => void (await dockerDone("rm", "--force", "--volumes", name)),
  };
}

/** What a trainer of the image of `pushImage` runs: it says its version and ends with 0. */
export const PULLED_COMMAND = ["/usr/bin/tini-static", "--version"];

/**
 * Gives the registry an image of one layer, of so many random bytes (which cannot be packed) and one program; the engine
 * itself keeps nothing of it, so a pull must bring all of it.
 */
export async function pushImage(reference: string, bytes: number): Promise<void> {
  const files = `head -c ${bytes} /dev/urandom >/tmp/noise && tar -cPf - /tmp/noise ${PULLED_COMMAND[0]}`;
  const make = `docker run --rm --user 0:0 --entrypoint /bin/sh "$1" -c "$2" | docker import - "$3"`;
  const { status, stderr } = spawnSync("/bin/sh", ["-c", make, "sh", WORKER_IMAGE, files, reference], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${reference} cannot be made: ${stderr}`);
  await dockerDone("push", "--quiet", reference);
  await dockerDone("image", "rm", reference);
}
