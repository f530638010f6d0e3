/** GPUs given to jobs: real gateway and workers, on a machine whose nvidia-smi tells of four GPUs. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fakeNvidiaSmi } from "./testing/fake-nvidia-smi.ts";
import { eventually, startTestPlatform, type TestPlatform } from "./testing/platform.ts";
import type { ScriptStep } from "./testing/script.ts";

let platform: TestPlatform;
let folder = "";
beforeAll(async () => {
  folder = fakeNvidiaSmi("four-gpus");
  platform = await startTestPlatform();
  await platform.worker({ SLOTS: "4", PATH: `${folder}:${process.env.PATH}` });
});
afterAll(async () => {
  await platform?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const over = ({ state }: { state: string }) => ["SUCCEEDED", "FAILED", "CANCELLED"].includes(state);
const id = (index: number) => `GPU-0000000${index}-1111-2222-3333-444444444444`;

/** Writes down which GPUs it sees, and holds them until it is cancelled. */
function holding(file: string): ScriptStep[] {
  return [
    { do: "write_environment", file },
    { do: "event", type: "phase", data: { name: "training" } },
    { do: "sleep", ms: 600_000 },
  ];
}

async function seenBy(file: string): Promise<string> {
  const text = await eventually(() => {
    try {
      return readFileSync(file, "utf8");
    } catch {
      return undefined;
    }
  });
  return (JSON.parse(text) as Record<string, string>).CUDA_VISIBLE_DEVICES ?? "";
}

it("gives whole GPUs to jobs, lets others wait with the reason, and gives them on", async () => {
  const files = ["one", "two"].map((name) => join(platform.folder, name));
  const large = await platform.submit(holding(files[0] ?? ""), { gpus: 2, min_vram_gb: 80, batch_size: 2 });
  expect(await seenBy(files[0] ?? "")).toBe(`${id(2)},${id(3)}`);
  const small = await platform.submit(holding(files[1] ?? ""), {});
  expect(await seenBy(files[1] ?? "")).toBe(id(0));

  const next = await platform.submit([{ do: "succeed", metrics: { "val/top1": 1 } }], { min_vram_gb: 40 });
  const waiting = await platform.until(next, ({ waiting_reason }) => waiting_reason?.includes("40 GB") ?? false);
  expect(waiting).toMatchObject({ state: "QUEUED", attempt: 1 });
  expect(waiting.waiting_reason).toMatch(/^Waits for a GPU with 40 GB; worker \S+ has 0 free$/);

  const held = await eventually(async () => {
    const worker = (await platform.workers()).find(({ framework }) => framework === "scripted");
    return worker?.gpus.some(({ job_id }) => job_id === small) ? worker : undefined;
  });
  expect(held).toMatchObject({ launcher: "subprocess", launcher_reason: "TRAINING_EXECUTION_MODE=subprocess" });
  expect(held.gpus.map(({ job_id }) => job_id)).toEqual([small, null, large, large]);

  await platform.cancel(large);
  expect(await platform.until(next, over)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
  await platform.cancel(small);
  await platform.until(small, over);
}, 90_000);
