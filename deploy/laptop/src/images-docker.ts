/** What the docker command tells of images; they are only ever run enclosed. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type ImageSettings, wholeEnvironment } from "./config.ts";
import { ROOT } from "./paths.ts";
import { runTool, ToolError } from "./tool.ts";

const inspected = z.object({
  Id: z.string(),
  Size: z.number(),
  RootFS: z.object({ Layers: z.array(z.string()) }),
  Config: z.object({
    User: z.string().default(""),
    Env: z.array(z.string()).nullable(),
    Entrypoint: z.array(z.string()).nullable(),
    Labels: z.record(z.string(), z.string()).nullable(),
    Healthcheck: z.object({ Test: z.array(z.string()) }).nullish(),
  }),
});

/** An image as the engine has it; sizes in bytes, layers by the digest of their content, lowest first. */
export type ImageFacts = z.infer<typeof inspected>;

/** Runs the docker command to its end. @throws ToolError with what it said. */
export function docker(args: string[], detail: (line: string) => void = () => undefined): Promise<string> {
  const env = { ...wholeEnvironment(), BUILDX_NO_DEFAULT_ATTESTATIONS: "1" };
  return runTool("docker", args, { env, cwd: ROOT, detail });
}

/** True when a Docker engine answers. */
export async function engineAnswers(): Promise<boolean> {
  return docker(["version"]).then(
    () => true,
    () => false,
  );
}

/** @throws ToolError that says how to build it, when the engine has no such image. */
export async function imageFacts(reference: string, name: string): Promise<ImageFacts> {
  const text = await docker(["image", "inspect", reference]).catch(() => {
    throw new ToolError(`there is no image ${reference}: ./vp images build ${name}`);
  });
  return z.tuple([inspected]).parse(JSON.parse(text))[0];
}

/** What made each layer, newest first; size in bytes, 0 for settings. */
export async function imageHistory(reference: string): Promise<{ by: string; bytes: number }[]> {
  const format = "{{.Size}}\t{{.CreatedBy}}";
  const text = await docker(["history", "--no-trunc", "--human=false", "--format", format, reference]);
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const tab = line.indexOf("\t");
      return { bytes: Number(line.slice(0, tab)), by: line.slice(tab + 1) };
    });
}

/** The walls of every run here; the same as a job's, so what works behind them works there. */
const ENCLOSED = ["--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"];

/** Runs a program in an image as its own user would be run for a job; gives back its stdout. */
export function runEnclosed(reference: string, command: string[], uid: number): Promise<string> {
  const work = `/work:uid=${uid},gid=${uid},mode=0700`;
  return docker(["run", "--rm", ...ENCLOSED, "--tmpfs=/tmp", `--tmpfs=${work}`, reference, ...command]);
}

/** Runs a shell script as root over the files of an image; gives back its stdout. */
export function searchFiles(reference: string, script: string): Promise<string> {
  const seeing = ["--network=none", "--read-only", "--cap-drop=ALL", "--cap-add=DAC_READ_SEARCH", "--user=0:0"];
  return docker(["run", "--rm", ...seeing, "--entrypoint=/bin/sh", reference, "-c", script]);
}

/**
 * Builds a target of Inspection.Dockerfile on an image.
 * @param args further build arguments.
 * @returns the text of each file asked for.
 */
export async function inspectInside<Name extends string>(
  reference: string,
  target: "python" | "node",
  files: readonly Name[],
  args: Record<string, string>,
  { BASE_IMAGE, NODE_IMAGE }: ImageSettings,
): Promise<Record<Name, string>> {
  const folder = mkdtempSync(join(tmpdir(), "vp-inspection-"));
  const given = Object.entries({ IMAGE: reference, ...args, BASE_IMAGE, NODE_IMAGE }).flatMap(([name, value]) =>
    value === undefined ? [] : ["--build-arg", `${name}=${value}`],
  );
  const build = ["buildx", "build", "--progress=plain", "--file=deploy/images/Inspection.Dockerfile"];
  try {
    await docker([...build, `--target=${target}`, ...given, `--output=${folder}`, "."]);
    const texts = files.map((name) => [name, readFileSync(join(folder, name), "utf8")]);
    return Object.fromEntries(texts) as Record<Name, string>;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
