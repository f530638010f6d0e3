/**
 * The Railway shape on one machine: every service in a container of its own, from the committed config and variables,
 * with nothing shared but a network. `node deploy/railway/src/simulate.ts --help` tells the options.
 */
import { parseArgs } from "node:util";
import { CASES } from "@vision-platform/e2e/walkthrough/cases";
import { createReport } from "@vision-platform/e2e/walkthrough/report";
import { simulate } from "./simulation.ts";

const ALL = CASES.map(({ framework }) => framework).join(",");
const HELP = `Plays Railway with containers: two workers for each framework, two notifiers, Postgres, Redis and R2 as managed
ones, no shared file system; the whole scenario, and a new deployment of everything in the middle of trainings.

  --frameworks a,b    which frameworks train (default: ${ALL})
  --variant VARIANT   cuda (also for CPUs; shares the layers of ./vp images build), or cpu, as Railway builds them (default: cuda)
  --checkout IMAGE    builds nothing: the checkout, mounted read-only into containers of IMAGE
  --draining SECONDS  how long old workers have, at least 30 (default: 120; the committed ones have more)
  --brief             one training for each worker and the deployment; nothing is evaluated, exported or cancelled
  --json              NDJSON for programs
`;

const { values } = parseArgs({
  options: {
    frameworks: { type: "string", default: ALL },
    variant: { type: "string", default: "cuda" },
    checkout: { type: "string" },
    draining: { type: "string", default: "120" },
    brief: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

/** Throws an Error that names the option. */
function readOptions() {
  const draining = Number(values.draining);
  if (!Number.isInteger(draining) || draining < 30) throw new Error("--draining: expected whole seconds, at least 30");
  const asked = values.frameworks.split(",");
  const unknown = asked.filter((name) => !CASES.some(({ framework }) => framework === name));
  if (unknown.length > 0) throw new Error(`--frameworks: ${unknown.join(", ")} is not known; expected some of ${ALL}`);
  const { variant, checkout, brief } = values;
  return { cases: CASES.filter(({ framework }) => asked.includes(framework)), draining, variant, checkout, brief };
}

if (values.help) {
  process.stdout.write(HELP);
} else {
  const report = createReport("railway", values.json);
  try {
    await simulate(report, readOptions());
    process.exitCode = report.end();
  } catch (error) {
    // What did not hold was told with its step; a fault of the simulation itself was not.
    if (report.end() === 0) report.say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exitCode = 1;
  }
}
