/** models add-weights: pretrained weights into the platform's own store, so that no training needs a network for them. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createWeightsUpload } from "@vision-platform/contracts/api/models";
import { WEIGHTS_SUFFIXES } from "@vision-platform/contracts/names";
import { UsageError } from "../output/failure.ts";
import { bytes } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { createTransferBar } from "../output/transfer-bar.ts";
import { sendFile } from "../upload/send-parts.ts";
import type { Context } from "./action.ts";

export async function addWeights(
  { output, session }: Context,
  [framework = "", model_name = "", path = ""]: string[],
): Promise<undefined> {
  const suffix = suffixOf(path);
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile() || info.size === 0) throw new UsageError(`${path} is no file that holds weights`);
  const sha256 = await hashOf(path, info.size, output);
  const { url, headers, uri } = await (await session()).call(createWeightsUpload, {
    params: { framework, model_name },
    body: { suffix, bytes: info.size, sha256 },
  });
  const bar = createTransferBar(output, "uploading", info.size);
  try {
    await sendFile(path, info.size, { url, headers }, (more) => bar.add(more));
  } finally {
    bar.end();
  }
  output.record({ uri, sha256, bytes: info.size });
  output.line(`${uri}  ${bytes(info.size)}  sha256 ${sha256}`);
  output.note(`trainings of ${framework}/${model_name} with --config pretrained=true begin from it`);
  return undefined;
}

/** Throws UsageError for a file whose name says nothing that trainers load. */
export function suffixOf(path: string): (typeof WEIGHTS_SUFFIXES)[number] {
  const suffix = WEIGHTS_SUFFIXES.find((one) => path.toLowerCase().endsWith(one));
  if (suffix === undefined)
    throw new UsageError(`${path}: expected a file that ends in ${WEIGHTS_SUFFIXES.join(", ")}`);
  return suffix;
}

async function hashOf(path: string, size: number, output: Output): Promise<string> {
  const bar = createTransferBar(output, "reading", size);
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1024 ** 2 })) {
      hash.update(chunk as Buffer);
      bar.add((chunk as Buffer).length);
    }
  } finally {
    bar.end();
  }
  return hash.digest("hex");
}
