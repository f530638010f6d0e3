/** Figures with the limit beside them, as a table on the screen and as a file in bench/results/. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join, resolve } from "node:path";

export interface Figure {
  name: string;
  measured: string;
  /** What the bare parts reach, measured in the same run. */
  limit: string;
  goal: string;
  met: boolean | null;
}

/** The q-th quantile (0..1) of samples in any order; NaN for none. */
export function quantile(samples: number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export const ms = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
export const p50p99 = (samples: number[]) => `${ms(quantile(samples, 0.5))} / ${ms(quantile(samples, 0.99))}`;

function machine(): string {
  const model = cpus()[0]?.model ?? "unknown processor";
  return `${cpus().length} × ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}, Node ${process.version}`;
}

function table(figures: Figure[]): string {
  const rows = figures.map(({ name, measured, limit, goal, met }) => [
    name,
    measured,
    limit,
    goal,
    met === null ? "" : met ? "met" : "missed",
  ]);
  const all = [["figure", "measured", "limit (bare parts, same run)", "goal", ""], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  const line = (row: string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [line(all[0] ?? []), rule, ...rows.map(line)].join("\n");
}

/** Prints the table and keeps it in bench/results/<date>-<names>.md with machine and commit. Answers the path. */
export function keep(names: string[], figures: Figure[], notes: string[]): string {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  const dirty =
    execFileSync("git", ["status", "--porcelain"], { encoding: "utf8" }).trim() === ""
      ? ""
      : " with uncommitted changes";
  const when = new Date().toISOString();
  const load = readFileSync("/proc/loadavg", "utf8").split(" ").slice(0, 3).join(" ");
  const head = [
    `# Benchmark ${names.join(", ")}`,
    "",
    `${when} · ${machine()} · load ${load} · commit ${commit}${dirty}`,
    "",
  ];
  const body = [...head, table(figures), "", ...notes.map((note) => `- ${note}`), ""].join("\n");
  const folder = resolve(import.meta.dirname, "../results");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${when.slice(0, 10)}-${names.join("-")}.md`);
  writeFileSync(path, body);
  process.stdout.write(`\n${body}\n${path}\n`);
  return path;
}
