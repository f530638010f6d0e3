/** What a bad moment leaves in a job's folder: a checkpoint without its manifest, and one whose bytes have changed. */
import { checkpointsPrefix } from "@vision-platform/contracts/names";
import type { CheckpointPointer } from "@vision-platform/contracts/storage-manifests";
import { type Objects, sha256 } from "../platform/objects.ts";

const MANIFEST = "MANIFEST.json";

/** What an ingest that was killed in mid-upload leaves: a shard and an index that nobody finished, and no manifest. */
export async function plantTornVersion(objects: Objects, prefix: string): Promise<void> {
  for (const name of ["shards/train-00000.tar", "samples.jsonl.gz"]) await objects.put(prefix + name, "torn");
}

/**
 * Beside the checkpoint that `pointer` names: a newer one with a flipped byte, which last.json names from now on (and
 * the good one as its `previous`), and a still newer one that was cut off before its manifest.
 */
export async function plantDamage(objects: Objects, jobId: number, pointer: CheckpointPointer): Promise<void> {
  const base = checkpointsPrefix(jobId);
  const good = `${objects.key(pointer.uri)?.replace(/\/$/, "")}/`;
  const names = (await objects.list(good)).map((key) => key.slice(good.length));
  const number = Number(/\d+/.exec(good.slice(base.length))?.[0] ?? pointer.step);
  const [poisoned, torn] = [1, 2].map((ahead) => `${base}${String(number + ahead).padStart(8, "0")}/`);
  const contents = new Map<string, Buffer>();
  for (const name of names) contents.set(name, (await objects.get(good + name)) ?? Buffer.alloc(0));
  const largest = [...contents]
    .filter(([name]) => name !== MANIFEST)
    .sort(([, a], [, b]) => b.length - a.length)[0]?.[0];
  for (const [name, content] of contents) {
    if (name !== MANIFEST) await objects.put(torn + name, content);
    await objects.put(poisoned + name, name === largest ? flipped(content) : content);
  }
  const last = {
    ...pointer,
    uri: objects.uri(String(poisoned).replace(/\/$/, "")),
    manifest_sha256: sha256(contents.get(MANIFEST) ?? ""),
    previous: pointer.uri,
  };
  await objects.put(`${base}last.json`, JSON.stringify(last));
}

/** One byte near the end is another: in a file of weights, a number and not the header. */
function flipped(content: Buffer): Buffer {
  const changed = Buffer.from(content);
  const at = Math.max(0, changed.length - 8);
  changed[at] = (changed[at] ?? 0) ^ 0x55;
  return changed;
}
