import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "@vision-platform/common/logger";
import { afterEach, describe, expect, it } from "vitest";
import { fakeNvidiaSmi, type Machine } from "../testing/fake-nvidia-smi.ts";
import { selectGpus, watchGpus } from "./gpus.ts";
import { readGpus } from "./inventory.ts";

const PATH = process.env.PATH ?? "";
const folders: string[] = [];
const logger = createLogger("test", "silent");

afterEach(() => {
  process.env.PATH = PATH;
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function on(machine: Machine): void {
  const folder = fakeNvidiaSmi(machine);
  folders.push(folder);
  process.env.PATH = `${folder}:${PATH}`;
}

function broken(program: string): void {
  const folder = mkdtempSync(join(tmpdir(), "vp-nvidia-smi-"));
  folders.push(folder);
  writeFileSync(join(folder, "nvidia-smi"), `#!/bin/sh\n${program}\n`);
  chmodSync(join(folder, "nvidia-smi"), 0o755);
  process.env.PATH = `${folder}:${PATH}`;
}

describe("the inventory", () => {
  it("is empty without nvidia-smi, and where it sees no GPU", async () => {
    process.env.PATH = "/nowhere";
    expect(await readGpus()).toEqual([]);
    on("no-gpu");
    expect(await readGpus()).toEqual([]);
  });

  it("tells memory and use of one GPU", async () => {
    on("one-gpu");
    expect(await readGpus()).toEqual([
      {
        uuid: "GPU-00000001-1111-2222-3333-444444444444",
        index: 0,
        name: "NVIDIA GeForce RTX 4090",
        memory_mb: 24_564,
        used_mb: 1_043,
        utilization: 0.37,
      },
    ]);
  });

  it("counts four from 0", async () => {
    on("four-gpus");
    const gpus = await readGpus();
    expect(gpus.map(({ index, memory_mb }) => [index, memory_mb])).toEqual([
      [0, 23_034],
      [1, 23_034],
      [2, 81_920],
      [3, 81_920],
    ]);
  });

  it("takes a divided GPU for its instances, each with its own id and memory", async () => {
    on("mig");
    expect(await readGpus()).toMatchObject([
      {
        uuid: "MIG-c7384736-a75d-5afc-978f-d2f1294409fd",
        index: 0,
        name: "NVIDIA A100-SXM4-40GB MIG 3g.20gb",
        memory_mb: 20_096,
        used_mb: 12,
        utilization: null,
      },
      { uuid: "MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d", index: 0, memory_mb: 9_856 },
      { uuid: "GPU-00000007-1111-2222-3333-444444444444", index: 1, memory_mb: 40_960, utilization: 0.05 },
    ]);
  });

  it("says so when the tool fails", async () => {
    broken("echo 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.' >&2; exit 9");
    await expect(readGpus()).rejects.toThrow(/communicate with the NVIDIA driver/);
  });
});

describe("the GPUs of a worker", () => {
  it("are all, none, or those that the setting names by index or id", async () => {
    on("mig");
    const all = await readGpus();
    const chosen = (GPUS: string, CUDA_VISIBLE_DEVICES?: string) =>
      selectGpus(all, { GPUS, CUDA_VISIBLE_DEVICES }).map(({ uuid }) => uuid.slice(0, 12));
    expect(chosen("auto")).toEqual(["MIG-c7384736", "MIG-a28ad590", "GPU-00000007"]);
    expect(chosen("0")).toEqual(["MIG-c7384736", "MIG-a28ad590"]);
    expect(chosen("1,MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d")).toEqual(["MIG-a28ad590", "GPU-00000007"]);
    expect(chosen("auto", "1")).toEqual(["GPU-00000007"]);
    expect(chosen("auto", "")).toEqual([]);
  });

  it("are offered with each claim, and given to trainers by NVIDIA's ids", async () => {
    on("four-gpus");
    const gpus = await watchGpus({ GPUS: "2,3" }, logger);
    expect(gpus.offer()).toEqual([
      { uuid: "GPU-00000002-1111-2222-3333-444444444444", memory_mb: 81_920 },
      { uuid: "GPU-00000003-1111-2222-3333-444444444444", memory_mb: 81_920 },
    ]);
    expect(gpus.idsFor({ gpus: 1, gpu_ids: ["GPU-x"] })).toEqual(["GPU-x"]);
    gpus.stop();
  });

  it("are none while the tool fails, so that only jobs without need of one run", async () => {
    broken("exit 9");
    const gpus = await watchGpus({ GPUS: "auto" }, logger);
    expect(gpus.offer()).toEqual([]);
    gpus.stop();
  });
});
