/** What layers weigh when they are pulled. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { wholeEnvironment } from "./config.ts";
import { imageFacts } from "./images-docker.ts";
import { ROOT, vpPaths } from "./paths.ts";
import { ToolError } from "./tool.ts";
import { findPython } from "./uv.ts";

const sizesSchema = z.record(z.string(), z.number());

/**
 * The compressed size in bytes of layers, by the digest of their content. They are kept in `.vp/`, because packing some GB
 * takes minutes.
 * @param measure pack what is not known yet; otherwise only what is known is given back.
 * @throws ToolError when the engine cannot save the images.
 */
export async function packedLayers(references: string[], measure: boolean): Promise<Map<string, number>> {
  const file = join(vpPaths().dir, "image-layers.json");
  const known = existsSync(file) ? sizesSchema.parse(JSON.parse(readFileSync(file, "utf8"))) : {};
  const missing: string[] = [];
  for (const name of measure ? references : []) {
    const { RootFS } = await imageFacts(name, name);
    if (RootFS.Layers.some((layer) => !(layer in known))) missing.push(name);
  }
  if (missing.length > 0) {
    Object.assign(known, await packAll(missing));
    mkdirSync(vpPaths().dir, { recursive: true });
    writeFileSync(file, JSON.stringify(known, null, 1));
  }
  return new Map(Object.entries(known));
}

/** One `docker save` of all, so a layer that images share is packed once. */
async function packAll(references: string[]): Promise<Record<string, number>> {
  const env = wholeEnvironment();
  const save = spawn("docker", ["save", ...references], { env, stdio: ["ignore", "pipe", "inherit"] });
  const script = join(ROOT, "deploy/images/layer_sizes.py");
  const pack = spawn(findPython().path, [script], { env, stdio: ["pipe", "pipe", "inherit"] });
  save.stdout.pipe(pack.stdin);
  let text = "";
  pack.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  const [saved, packed] = await Promise.all(
    [save, pack].map((child) => new Promise((done, fail) => child.once("error", fail).once("close", done))),
  );
  if (saved !== 0 || packed !== 0)
    throw new ToolError(`docker save ended with ${saved}, layer_sizes.py with ${packed}`);
  return sizesSchema.parse(JSON.parse(text));
}
