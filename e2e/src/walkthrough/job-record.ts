/** What must be true of every job, whatever happened around it. */
import { getJob, type Job, listJobs } from "@vision-platform/contracts/api/jobs";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { isTerminal } from "@vision-platform/contracts/job-state";
import { allEvents, type Person } from "../person.ts";
import { deepEqual, expect } from "./expecting.ts";

/** Epochs that an attempt told its progress of, in order. */
export function epochsOf(events: JobEvent[], attempt: number): number[] {
  return events
    .filter((event) => event.attempt === attempt && event.type === "progress")
    .map((event) => Number(event.data.epoch));
}

/** How long an epoch of a finished training took, from its own events; at least a hundredth of a second. */
export function secondsPerEpoch(events: JobEvent[]): number {
  const ends = events
    .filter((event) => event.type === "metrics" && event.data.scope === "epoch" && event.data.split === "val")
    .map((event) => Date.parse(event.ts));
  const [first = 0, last = 0] = [ends[0], ends.at(-1)];
  return Math.max(0.01, (last - first) / 1000 / Math.max(1, ends.length - 1));
}

/** Numbered without a gap, one terminal event, attempts counted as they began, nothing said to be lost. */
export function checkRecord(job: Job, events: JobEvent[]): void {
  const name = `job ${job.id} (${job.framework}, ${job.kind})`;
  const numbers = events.map(({ seq }) => seq);
  expect(
    deepEqual(
      numbers,
      numbers.map((_, index) => index + 1),
    ),
    `${name}: events are numbered ${numbers.join(" ")}`,
  );
  const ends = events.filter((event) => event.type === "state" && isTerminal(event.data.state as Job["state"]));
  expect(ends.length === 1, `${name}: ${ends.length} terminal events`);
  const attempts = job.attempts.map(({ attempt }) => attempt);
  expect(
    deepEqual(
      attempts,
      attempts.map((_, index) => index + 1),
    ),
    `${name}: attempts ${attempts.join(" ")}`,
  );
  expect(job.attempt === attempts.length, `${name}: attempt ${job.attempt} of ${attempts.length} recorded`);
  const lost = events.filter((event) => event.type === "warning" && event.data.code === "events_lost");
  expect(lost.length === 0, `${name}: events were lost`);
}

/** The same for all jobs of a person, each of which must be over. Answers with how many there are. */
export async function checkAllRecords(person: Person): Promise<{ jobs: number; events: number }> {
  let events = 0;
  const { items } = await person.api.call(listJobs, { query: { limit: 200 } });
  for (const { id } of items) {
    const job = await person.api.call(getJob, { params: { job_id: id } });
    expect(isTerminal(job.state), `job ${id} is ${job.state}`);
    const record = await allEvents(person, id);
    checkRecord(job, record);
    events += record.length;
  }
  return { jobs: items.length, events };
}
