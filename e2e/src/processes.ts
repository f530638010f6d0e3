/** Looks for trainers from the outside, by the marker in their environment (Linux). */
import { readdirSync, readFileSync } from "node:fs";

/** Ids of living processes that belong to any attempt of the job; with `bucket`, of the platform that stores there. */
export function processesOf(jobId: number, bucket = ""): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
        const has = (start: string) => environment.some((each) => each.startsWith(start));
        return environment.includes(`JOB_ID=${jobId}`) && has("EVENTS_STREAM=") && has(`OUTPUT_URI=s3://${bucket}`);
      } catch {
        return false; // it ended, or is not ours to see
      }
    })
    .map(Number);
}
