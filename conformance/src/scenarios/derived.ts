/** evaluate, predict and export of what the undisturbed training left. */
import type { JobKind } from "@vision-platform/contracts/job-state";
import { checkpointPointerKey } from "@vision-platform/contracts/names";
import type { Lab } from "../lab.ts";
import { imagesOf } from "../platform/datasets.ts";
import type { Changes } from "../runs/environment.ts";
import { type Ended, ended, undisturbed } from "./trainings.ts";

export async function modelUri(lab: Lab): Promise<string> {
  const { run } = await undisturbed(lab);
  return lab.objects.uri(checkpointPointerKey(run.job.job_id, "best"));
}

/** With `changes` it is another run than without; `name` tells them apart. */
export function derived(lab: Lab, kind: JobKind, name: string = kind, changes: Changes = {}): Promise<Ended> {
  return lab.once(name, async () => {
    const MODEL_URI = await modelUri(lab);
    return ended(await lab.start({ name, kind, changes: { MODEL_URI, ...changes } }));
  });
}

/** Images that somebody uploaded, by address. */
export function predictImages(lab: Lab): Promise<Ended & { images: string[] }> {
  return lab.once("predict images", async () => {
    const id = lab.newJobId();
    const images = [];
    for (const [number, content] of imagesOf(lab.files, "val").slice(0, 2).entries()) {
      const key = `jobs/${id}/images/${number}-digit.png`;
      await lab.objects.put(key, content);
      images.push(lab.objects.uri(key));
    }
    const CONFIG_JSON = JSON.stringify({ images });
    return { ...(await derived(lab, "predict", "predict-images", { CONFIG_JSON })), images };
  });
}
