/** Metrics in the order that people care about them. */
import { figure } from "./format.ts";

const GROUPS = ["val/", "test/", "train/", "perf/"];

function rank(name: string): number {
  const group = GROUPS.findIndex((prefix) => name.startsWith(prefix));
  return group < 0 ? GROUPS.length : group;
}

/** `val/top1 0.9833`, the job's primary metric first. */
export function metricTexts(
  metrics: Record<string, number | null>,
  primary: { name: string } | null | undefined,
): string[] {
  const place = (name: string) => (name === primary?.name ? -1 : rank(name));
  const names = Object.keys(metrics).sort((a, b) => place(a) - place(b) || a.localeCompare(b));
  return names.map((name) => `${name} ${figure(metrics[name])}`);
}
