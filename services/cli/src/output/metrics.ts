/** Metrics in the order that people care about them. */
import { figure } from "./format.ts";

/** One name for each task's primary metric; a job reports only that of its own task. */
export const PRIMARY_METRICS = ["val/top1", "val/mAP50_95", "val/mIoU", "val/bleu4"];
const GROUPS = ["val/", "test/", "train/", "perf/"];

function rank(name: string): number {
  const primary = PRIMARY_METRICS.indexOf(name);
  if (primary >= 0) return primary - PRIMARY_METRICS.length;
  const group = GROUPS.findIndex((prefix) => name.startsWith(prefix));
  return group < 0 ? GROUPS.length : group;
}

/** `val/top1 0.9833`, the primary one first. */
export function metricTexts(metrics: Record<string, number | null>): string[] {
  const names = Object.keys(metrics).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  return names.map((name) => `${name} ${figure(metrics[name])}`);
}
