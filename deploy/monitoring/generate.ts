/** Writes grafana/dashboards/*.json; with `--check` only says whether they are what the code says, and exits 1 if not. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Dashboard, grafanaDashboard } from "./dashboard.ts";
import { HEALTH } from "./health.dashboard.ts";
import { TRAININGS } from "./trainings.dashboard.ts";

export const DASHBOARDS: Record<string, Dashboard> = { "health.json": HEALTH, "trainings.json": TRAININGS };
const FOLDER = join(import.meta.dirname, "grafana/dashboards");

/** The names of files that are not what the code says. */
export function staleFiles(): string[] {
  return Object.entries(DASHBOARDS).flatMap(([name, dashboard]) =>
    readFileSync(join(FOLDER, name), "utf8") === textOf(dashboard) ? [] : [name],
  );
}

function textOf(dashboard: Dashboard): string {
  return `${JSON.stringify(grafanaDashboard(dashboard))}\n`;
}

if (import.meta.main) {
  const stale = staleFiles();
  if (process.argv.includes("--check")) {
    for (const name of stale) process.stderr.write(`${name} is stale: run node deploy/monitoring/generate.ts\n`);
    process.exit(stale.length > 0 ? 1 : 0);
  }
  for (const name of stale) writeFileSync(join(FOLDER, name), textOf(DASHBOARDS[name] as Dashboard));
  process.stdout.write(`${stale.length} of ${Object.keys(DASHBOARDS).length} dashboards written\n`);
}
