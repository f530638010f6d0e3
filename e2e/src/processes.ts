/** Looks for trainers from the outside, by the marker in their environment (Linux). */
import { readdirSync, readFileSync } from "node:fs";

/** Ids of living processes that belong to any attempt of the job. */
export function processesOf(jobId: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
        return environment.includes(`JOB_ID=${jobId}`) && environment.some((each) => each.startsWith("EVENTS_STREAM="));
      } catch {
        return false; // it ended, or is not ours to see
      }
    })
    .map(Number);
}
