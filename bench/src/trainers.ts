/** Each trainer against its framework's own script: same model, data and settings, at the same time, over four seeds. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { CHECKOUT } from "@vision-platform/e2e/platform";
import { z } from "zod";
import type { Figure } from "./report.ts";

const LIMIT_MS = 30 * 60_000;
const GOAL = 0.99;

const Side = z.object({
  /** Median over the epochs of all runs but each run's first. */
  samples_per_s: z.number(),
  /** The primary metric each seed ended with. */
  final: z.array(z.number()),
  /** From the process's start to its first step, median. */
  first_step_s: z.number(),
});
const Comparison = z.object({
  what: z.string(),
  metric: z.string(),
  ours: Side,
  reference: Side,
  /** Ours to the reference's in each round, and their median. */
  ratios: z.array(z.number()),
  ratio: z.number(),
});

/** The frameworks that bring a comparison: trainers/<framework>/bench/compare.py. */
function comparisons(): string[] {
  return readdirSync(join(CHECKOUT, "trainers")).filter((name) =>
    existsSync(join(CHECKOUT, "trainers", name, "bench/compare.py")),
  );
}

const range = (values: number[]) => `${Math.min(...values).toFixed(3)}–${Math.max(...values).toFixed(3)}`;

/** Whether the seeds' results overlap: one side's mean lies within the other's range, widened by its own spread. */
function withinNoise(ours: number[], theirs: number[]): boolean {
  const mean = ours.reduce((sum, value) => sum + value, 0) / ours.length;
  const spread = Math.max(0.01, Math.max(...theirs) - Math.min(...theirs), Math.max(...ours) - Math.min(...ours));
  return mean >= Math.min(...theirs) - spread;
}

export async function benchTrainers(): Promise<{ figures: Figure[]; notes: string[] }> {
  const figures: Figure[] = [];
  const notes: string[] = [];
  for (const framework of comparisons()) {
    process.stderr.write(`  ${framework} …\n`);
    const python = join(CHECKOUT, ".vp/envs", framework, "bin/python");
    const cwd = join(CHECKOUT, "trainers", framework);
    const { stdout } = await promisify(execFile)(python, ["bench/compare.py"], { cwd, timeout: LIMIT_MS });
    const { what, metric, ours, reference, ratios, ratio } = Comparison.parse(
      JSON.parse(stdout.trim().split("\n").at(-1) ?? ""),
    );
    figures.push(
      {
        name: `${framework}: throughput (${what})`,
        measured: `${ours.samples_per_s.toFixed(0)} samples/s: ${ratio.toFixed(3)} of the limit (${range(ratios)})`,
        limit: `${reference.samples_per_s.toFixed(0)} samples/s`,
        goal: `≥ ${GOAL}`,
        met: ratio >= GOAL,
      },
      {
        name: `${framework}: final ${metric}, ${ours.final.length} seeds`,
        measured: range(ours.final),
        limit: range(reference.final),
        goal: "within noise",
        met: withinNoise(ours.final, reference.final),
      },
      {
        name: `${framework}: start to first step`,
        measured: `${ours.first_step_s.toFixed(1)} s`,
        limit: `${reference.first_step_s.toFixed(1)} s`,
        goal: "as the framework's own",
        met: ours.first_step_s <= reference.first_step_s * 1.1,
      },
    );
  }
  notes.push(
    "trainers: the limit is the framework's own script (trainers/<framework>/bench/) in the same environment; on a CPU both run at once, each on half of the CPUs, and swap them every round, so that what else the machine does meanwhile hits both.",
  );
  return { figures, notes };
}
