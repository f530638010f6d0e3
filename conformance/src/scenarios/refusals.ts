/** Jobs that cannot be done, and must be refused. */
import type { JobKind } from "@vision-platform/contracts/job-state";
import type { Lab } from "../lab.ts";
import { howItEnded, tail } from "../requirements/requirement.ts";
import type { Changes } from "../runs/environment.ts";
import { type Ended, ended } from "./trainings.ts";

export interface Refusal {
  name: string;
  changes?: Changes;
  renamed?: Record<string, string>;
  kind?: JobKind;
  dataset?: string;
  door?: "stdout" | "redis";
  idle?: boolean;
  limitMs?: number;
}

const REFUSAL_LIMIT_MS = 60_000;

export function refusal(lab: Lab, asked: Refusal): Promise<Ended> {
  return lab.once(`refusal ${asked.name}`, async () => {
    const name = `refusal-${asked.name.replaceAll(/[^A-Za-z0-9]+/g, "-").slice(0, 40)}`;
    return ended(await lab.start({ limitMs: REFUSAL_LIMIT_MS, ...asked, name }));
  });
}

export interface Expected {
  exit: number;
  code: string;
  /** One of these must be in its message. */
  names?: string[];
  /** False where the door itself is among what is wrong. */
  event?: boolean;
}

/** What is wrong with how it refused, in one sentence each. */
export function judge(name: string, seen: Ended, expected: Expected): string[] {
  const found: string[] = [];
  const { exit, events, timedOut } = seen;
  if (timedOut) return [`${name}: it did not end within its time; the end of its log: ${tail(seen.stderr)}`];
  if (exit.code !== expected.exit) {
    found.push(
      `${name}: ${howItEnded(exit)}, expected exit ${expected.exit}; the end of its log: ${tail(seen.stderr)}`,
    );
    return found;
  }
  const failures = events.filter(({ type }) => type === "failed");
  const told = failures.map(({ data }) => String(data.message)).join(" ") + seen.stderr + seen.stdout;
  if (expected.names && !expected.names.some((each) => told.includes(each))) {
    found.push(`${name}: neither its log nor its message names ${expected.names.join(" or ")}`);
  }
  if (expected.event !== false) {
    if (failures.length !== 1) found.push(`${name}: it sent ${failures.length} failed events, expected one`);
    const code = failures[0]?.data.code;
    if (failures[0] && code !== expected.code) found.push(`${name}: its event says ${code}, expected ${expected.code}`);
  }
  return found;
}
