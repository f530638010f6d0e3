/** The GPUs of this machine, as NVIDIA's own tool tells them. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Gpu } from "@vision-platform/contracts/api/workers";

const run = promisify(execFile);
const LIMIT_MS = 10_000;
const MAX_BYTES = 16 * 1_048_576;

/** The texts between each pair of such tags, which do not nest in each other. */
function blocks(xml: string, tag: string): string[] {
  return [...xml.matchAll(new RegExp(`<${tag}(?: [^>]*)?>([\\s\\S]*?)</${tag}>`, "g"))].map((match) => match[1] ?? "");
}

function text(xml: string, tag: string): string {
  return blocks(xml, tag)[0]?.trim() ?? "";
}

/** The number before its unit ("24564 MiB", "37 %"); null for "N/A". */
function amount(xml: string, tag: string): number | null {
  const number = /^\d+(\.\d+)?/.exec(text(xml, tag))?.[0];
  return number === undefined ? null : Number(number);
}

function memory(xml: string): Pick<Gpu, "memory_mb" | "used_mb"> {
  const usage = text(xml, "fb_memory_usage");
  return { memory_mb: amount(usage, "total") ?? 0, used_mb: amount(usage, "used") };
}

/** `nvidia-smi -L`: the ids and names of MIG instances, by "<GPU's index>.<instance's index>"; XML has no ids. */
function readInstances(list: string): Map<string, { uuid: string; name: string }> {
  const instances = new Map<string, { uuid: string; name: string }>();
  let gpu = "";
  for (const line of list.split("\n")) {
    gpu = /^GPU (\d+):/.exec(line)?.[1] ?? gpu;
    const [, name, index, uuid] = /^\s+(MIG \S+)\s+Device\s+(\d+): \(UUID: (\S+)\)/.exec(line) ?? [];
    if (name && index && uuid) instances.set(`${gpu}.${index}`, { uuid, name });
  }
  return instances;
}

function instancesOf(gpu: string, index: number, named: ReturnType<typeof readInstances>): Gpu[] {
  const product = text(gpu, "product_name");
  return blocks(text(gpu, "mig_devices"), "mig_device").flatMap((instance) => {
    const known = named.get(`${index}.${text(instance, "index")}`);
    if (!known) return [];
    const name = `${product} ${known.name}`;
    return [{ uuid: known.uuid, index, name, ...memory(instance), utilization: null }];
  });
}

/**
 * GPUs from `nvidia-smi -q -x`. A GPU that is divided (MIG) counts as its instances, which `list` (`nvidia-smi -L`) names.
 */
export function parseGpus(xml: string, list: string): Gpu[] {
  const named = readInstances(list);
  return blocks(xml, "gpu").flatMap((gpu, index) => {
    if (text(text(gpu, "mig_mode"), "current_mig") === "Enabled") return instancesOf(gpu, index, named);
    const percent = amount(text(gpu, "utilization"), "gpu_util");
    const utilization = percent === null ? null : percent / 100;
    return [{ uuid: text(gpu, "uuid"), index, name: text(gpu, "product_name"), ...memory(gpu), utilization }];
  });
}

/**
 * Empty where there is no nvidia-smi on PATH. Rejects when it fails (no driver, or a driver of another version) or takes
 * longer than ten seconds.
 */
export async function readGpus(): Promise<Gpu[]> {
  const ask = async (...args: string[]) =>
    (await run("nvidia-smi", args, { timeout: LIMIT_MS, maxBuffer: MAX_BYTES })).stdout;
  try {
    const xml = await ask("-q", "-x");
    return parseGpus(xml, xml.includes("<mig_device>") ? await ask("-L") : "");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
