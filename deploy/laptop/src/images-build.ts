/** `./vp images build`: all images in one `docker buildx bake`, so that shared layers are made once. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type ImageSettings, wholeEnvironment } from "./config.ts";
import type { Image } from "./images-plan.ts";
import { ROOT } from "./paths.ts";
import type { Progress } from "./progress.ts";
import { runTool, ToolError } from "./tool.ts";

export const VARIANTS = ["cuda", "cpu"] as const;
export type Variant = (typeof VARIANTS)[number];

/**
 * What every image is stamped with. Not SOURCE_DATE_EPOCH: each COPY and WORKDIR takes it in, so that every commit would make
 * torch again.
 */
type Stamp = { version: string; revision: string; source: string };

/**
 * Builds images and gives them their tags.
 * @param options.push also sends them to IMAGE_REGISTRY.
 * @returns seconds it took.
 * @throws ToolError with the end of what the builder said.
 */
export async function buildImages(
  images: Image[],
  options: { variant: Variant; push: boolean; settings: ImageSettings; root?: string },
  progress: Progress,
): Promise<number> {
  const root = options.root ?? ROOT;
  await needBuildx();
  const folder = mkdtempSync(join(tmpdir(), "vp-images-"));
  const began = Date.now();
  try {
    const file = join(folder, "bake.json");
    writeFileSync(file, JSON.stringify(bakeFile(images, await stamp(root), { ...options, root })));
    const names = images.map(({ name }) => name).join(", ");
    const bake = ["buildx", "bake", "--progress", "plain", "--file", file, ...(options.push ? ["--push"] : [])];
    // Attestations would turn each image into an index, whose layers `docker image inspect` does not show.
    const env = { ...wholeEnvironment(), BUILDX_NO_DEFAULT_ATTESTATIONS: "1", BUILDX_BAKE_ENTITLEMENTS_FS: "0" };
    await progress.run(`Images ${names}`, (detail) => runTool("docker", bake, { env, cwd: root, detail }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return (Date.now() - began) / 1000;
}

/** The reference of an image: what a worker composes from the same settings. */
export function reference(image: Image, settings: ImageSettings): string {
  return `${settings.IMAGE_REGISTRY}${image.repository}:${settings.IMAGE_TAG ?? platformVersion()}`;
}

/** The definition that bake reads; also what people see with `./vp images plan`. */
export function bakeFile(
  images: Image[],
  { version, revision, source }: Stamp,
  options: { variant: Variant; settings: ImageSettings; root: string },
): object {
  const { BASE_IMAGE, NODE_IMAGE } = options.settings;
  const common = {
    VARIANT: options.variant,
    VERSION: version,
    REVISION: revision,
    SOURCE: source,
    ...(BASE_IMAGE ? { BASE_IMAGE } : {}),
    ...(NODE_IMAGE ? { NODE_IMAGE } : {}),
  };
  const target = (image: Image) => ({
    context: options.root,
    dockerfile: "deploy/images/Dockerfile",
    target: image.target,
    args: { ...common, ...image.args },
    tags: [reference(image, options.settings)],
  });
  return {
    group: { default: { targets: images.map(({ name }) => name) } },
    target: Object.fromEntries(images.map((image) => [image.name, target(image)])),
  };
}

/** The platform's own version: the tag of its images. */
function platformVersion(): string {
  const file = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  return z.object({ version: z.string() }).parse(file).version;
}

/** From git where the checkout has it; an archive without .git is built all the same. */
async function stamp(root: string): Promise<Stamp> {
  const git = async (...args: string[]) =>
    (await runTool("git", args, { env: wholeEnvironment(), cwd: root }).catch(() => "")).trim();
  const [revision, remote] = [await git("rev-parse", "HEAD"), await git("remote", "get-url", "origin")];
  return { version: platformVersion(), revision: revision || "unknown", source: withoutUser(remote) };
}

/** An address that may be read by everybody: no user or password in it; nothing for a path of this machine. */
export function withoutUser(remote: string): string {
  if (!URL.canParse(remote)) return /^[\w.-]+@[\w.-]+:/.test(remote) ? remote.replace(/^[^@]+@/, "") : "";
  const url = new URL(remote);
  if (url.protocol === "file:") return "";
  url.username = "";
  url.password = "";
  return url.href;
}

async function needBuildx(): Promise<void> {
  const env = wholeEnvironment();
  await runTool("docker", ["version"], { env }).catch((error: Error) => {
    throw new ToolError(`no Docker engine answers: start it, or set DOCKER_HOST\n${error.message}`);
  });
  await runTool("docker", ["buildx", "version"], { env }).catch(() => {
    throw new ToolError("docker has no buildx: install Docker's buildx plugin (docker-buildx-plugin)");
  });
}
