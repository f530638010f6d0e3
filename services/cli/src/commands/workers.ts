/** workers list */
import { listWorkers, type WorkerView } from "@vision-platform/contracts/api/workers";
import type { Command } from "commander";
import { action, leaf } from "./action.ts";

const GIB_IN_MIB = 1024;

export function registerWorkers(workers: Command): void {
  leaf(workers.command("list"))
    .description("the workers that are there: how they start trainings, what they have room for")
    .action(
      action(async ({ output, session }) => {
        const { items } = await (await session()).call(listWorkers, {});
        output.list(
          items,
          [
            { title: "worker", of: (one) => one.worker_id },
            { title: "framework", of: (one) => one.framework },
            { title: "launcher", of: (one) => one.launcher },
            { title: "busy", of: (one) => `${one.busy}/${one.slots}`, align: "right" },
            { title: "GPUs", of: gpusOf },
            { title: "state", of: (one) => (one.stopping ? "stopping" : "on") },
            { title: "why this launcher", of: (one) => one.launcher_reason },
          ],
          "no worker is running; ./vp up starts them",
        );
        for (const { worker_id, gpus } of items) for (const gpu of gpus) output.note(`${worker_id}: ${gpuLine(gpu)}`);
        return undefined;
      }),
    );
}

function gpusOf({ gpus }: WorkerView): string | null {
  if (gpus.length === 0) return null;
  return `${gpus.filter(({ job_id }) => job_id === null).length} of ${gpus.length} free`;
}

/** `GPU 0 NVIDIA L4, 3.1 of 22.5 GiB, 87 %, job 6`; what nobody tells is left out. */
function gpuLine({ index, name, memory_mb, used_mb, utilization, job_id }: WorkerView["gpus"][number]): string {
  const gib = (mib: number) => (mib / GIB_IN_MIB).toFixed(1);
  const memory = used_mb === null ? `${gib(memory_mb)} GiB` : `${gib(used_mb)} of ${gib(memory_mb)} GiB`;
  const use = utilization === null ? [] : [`${Math.round(100 * utilization)} %`];
  return [`GPU ${index} ${name}`, memory, ...use, job_id === null ? "free" : `job ${job_id}`].join(", ");
}
