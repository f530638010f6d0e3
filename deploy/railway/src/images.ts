/** What each service is started from: an image built as Railway builds it, or the checkout in a container of any image. */
import { execFile } from "node:child_process";
import { readFileSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { SERVICE_NODE_OPTIONS } from "@vision-platform/common/node-options";
import { readServiceConfig, readVariables } from "./service-config.ts";
import { parseVariables } from "./variables.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const BUILD_LIMIT_MS = 3_600_000;
const exec = promisify(execFile);

export interface Launch {
  image: string;
  command?: string[];
  env: Record<string, string>;
  mounts?: string[];
}

const imageOf = (service: string) => `vision-platform-railway-${service}:simulation`;

/** What to start for a service such as `worker-timm`. */
export type ImageSource = (service: string) => Launch;

/** The variables of a service that its Dockerfile asks for: Railway hands every variable to the build, by name. */
export function buildArguments(dockerfile: string, variables: Record<string, string>): string[] {
  const asked = new Set([...dockerfile.matchAll(/^ARG\s+(.+)$/gm)].flatMap(([, names = ""]) => names.split(/\s+/)));
  const names = [...asked].map((declaration) => declaration.split("=")[0] ?? "");
  return [...new Set(names)]
    .filter((name) => variables[name] !== undefined)
    .map((name) => `${name}=${variables[name]}`);
}

/**
 * Builds a service from its config and variables, with the repository as context. `changes` replaces variables.
 * Answers with the image's name; rejects with the end of the build's output.
 */
export async function buildImage(service: string, changes: Record<string, string>): Promise<string> {
  const { dockerfilePath } = readServiceConfig(service).build;
  const variables = { ...parseVariables(readVariables(service)), ...changes };
  const given = buildArguments(readFileSync(join(ROOT, dockerfilePath), "utf8"), variables);
  const image = imageOf(service);
  const flags = given.flatMap((argument) => ["--build-arg", argument]);
  const command = ["buildx", "build", "--load", "--file", join(ROOT, dockerfilePath), "--tag", image, ...flags, ROOT];
  try {
    await exec("docker", command, { timeout: BUILD_LIMIT_MS, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const said = (error as { stderr?: string }).stderr ?? String(error);
    throw new Error(`the image of ${service} was not built:\n${said.slice(-3_000)}`, { cause: error });
  }
  return image;
}

/** The images that `buildImage` made. */
export const builtImages: ImageSource = (service) => ({ image: imageOf(service), env: {} });

/**
 * Builds nothing: code, Node and the Python environments of .vp/envs are mounted read-only into `image`, which needs
 * nothing but the C library that they were made for. Everything else of the shape is the same.
 */
export function fromCheckout(image: string): ImageSource {
  const node = dirname(dirname(realpathSync(process.execPath)));
  const main = (workspace: string) => [process.execPath, ...SERVICE_NODE_OPTIONS, `services/${workspace}/src/main.ts`];
  const readOnly = (paths: string[]) => [...new Set(paths)].map((path) => `${path}:${path}:ro`);
  const start = (workspace: string) => ["sh", "-c", `cd ${ROOT} && exec ${main(workspace).join(" ")}`];
  const shared = { TRAINERS_DIR: join(ROOT, "trainers"), NODE_ENV: "production" };
  return (service) => {
    const framework = /^worker-(.+)$/.exec(service)?.[1];
    if (framework === undefined) return { image, command: start(service), env: shared, mounts: readOnly([ROOT, node]) };
    const python = dirname(dirname(realpathSync(join(ROOT, `.vp/envs/${framework}/bin/python`))));
    return {
      image,
      command: start("worker"),
      env: { ...shared, TRAINER_ENVS_DIR: join(ROOT, ".vp/envs"), WORK_DIR: "/tmp/vision-platform" },
      mounts: readOnly([ROOT, node, python]),
    };
  };
}
