/** Reads the table of metrics in docs/observability.md: what services promise, and what alerts and dashboards may ask for. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface DocumentedMetric {
  name: string;
  type: "gauge" | "counter" | "histogram";
  /** Beside `service`, and `framework` of a worker's. */
  labels: string[];
  /** gateway, notifier or worker; `each` for all. */
  of: string;
  /** Only where something is configured. */
  optional: boolean;
}

const ROW = /^\| `([a-z_]+)` \| (gauge|counter|histogram) \| ([^|]*)\| ([^|]+) \|/;

/** In the order of the table. Throws when there is no table. */
export function documentedMetrics(): DocumentedMetric[] {
  const text = readFileSync(join(import.meta.dirname, "../../docs/observability.md"), "utf8");
  const found = text.split("\n").flatMap((line) => {
    const [, name, type, labels = "", of = ""] = ROW.exec(line) ?? [];
    if (name === undefined) return [];
    const [service = "", condition] = of.trim().split(", ");
    return [
      {
        name,
        type: type as DocumentedMetric["type"],
        labels: [...labels.matchAll(/`(\w+)`/g)].map((match) => match[1] ?? ""),
        of: service,
        optional: condition === "with MLflow",
      },
    ];
  });
  if (found.length === 0) throw new Error("docs/observability.md has no table of metrics");
  return found;
}

/** Of those that Node's collector adds to every service, the ones that alerts and dashboards ask for. */
export const NODE_METRICS = ["process_resident_memory_bytes", "nodejs_eventloop_lag_p99_seconds"];

/** The names that Prometheus keeps of it. */
export function seriesOf({ name, type }: DocumentedMetric): string[] {
  return type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}
