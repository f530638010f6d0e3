/** Grafana's dashboards as a few words for each panel; generate.ts writes what Grafana reads. */

export type Kind = "timeseries" | "stat" | "logs";

/** A query and the name of its lines. */
export type Query = readonly [expression: string, legend?: string];

export interface Panel {
  kind: Kind;
  title: string;
  description?: string;
  queries: readonly Query[];
  /** Grafana's name of the unit. */
  unit?: string;
  /** Of 24. */
  width?: number;
  height?: number;
  stacked?: boolean;
  /** Colours from a value on, the first for everything below. */
  steps?: readonly (readonly [color: string, from: number | null])[];
  max?: number;
}

export interface Dashboard {
  uid: string;
  title: string;
  description: string;
  /** Shows a choice of frameworks; queries say `framework=~"$framework"`. */
  byFramework: boolean;
  rows: readonly { title: string; panels: readonly Panel[] }[];
}

const PROMETHEUS = { type: "prometheus", uid: "vision-prometheus" };
const LOKI = { type: "loki", uid: "vision-loki" };
const RED = [
  ["green", null],
  ["red", 1],
] as const;

/** A number that is red unless it is 0. */
export function alarm(title: string, expression: string, description?: string): Panel {
  return { kind: "stat", title, queries: [[expression]], steps: RED, ...(description ? { description } : {}) };
}

/** A share of a histogram, such as 0.95; `by` are labels to keep, `selector` such as `{route="/"}`. */
export function quantile(share: number, histogram: string, by: readonly string[] = [], selector = ""): string {
  return `histogram_quantile(${share}, sum by (${["le", ...by].join(", ")}) (rate(${histogram}_bucket${selector}[$__rate_interval])))`;
}

const OPTIONS: Record<Kind, object> = {
  timeseries: {
    legend: { displayMode: "list", placement: "bottom", showLegend: true },
    tooltip: { mode: "multi", sort: "desc" },
  },
  stat: {
    reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
    graphMode: "none",
    textMode: "auto",
  },
  logs: { showTime: true, wrapLogMessage: true, sortOrder: "Descending", enableLogDetails: true },
};

function fieldConfig({ kind, unit = "short", stacked = false, steps, max }: Panel): object {
  const stacking = { mode: stacked ? "normal" : "none", group: "A" };
  return {
    defaults: {
      unit,
      min: 0,
      ...(max === undefined ? {} : { max }),
      ...(steps ? { thresholds: { mode: "absolute", steps: steps.map(([color, value]) => ({ color, value })) } } : {}),
      ...(kind === "timeseries" ? { custom: { fillOpacity: 8, lineWidth: 1, showPoints: "never", stacking } } : {}),
    },
    overrides: [],
  };
}

function panelOf(panel: Panel, id: number, gridPos: object): object {
  const { kind, title, description = "", queries, steps } = panel;
  const datasource = kind === "logs" ? LOKI : PROMETHEUS;
  const targets = queries.map(([expr, legendFormat = ""], index) => ({
    ...{ refId: String.fromCharCode(65 + index), datasource, expr, legendFormat },
    ...{ instant: kind === "stat", range: kind !== "stat" },
  }));
  const options = { ...OPTIONS[kind], ...(kind === "stat" ? { colorMode: steps ? "background" : "value" } : {}) };
  return { id, type: kind, title, description, datasource, gridPos, targets, fieldConfig: fieldConfig(panel), options };
}

/** Panels from left to right, row below row. */
function layOut(rows: Dashboard["rows"]): object[] {
  const all: object[] = [];
  let y = 0;
  for (const { title, panels } of rows) {
    all.push({
      id: all.length + 1,
      type: "row",
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    let tallest = 0;
    for (const panel of panels) {
      const { width: w = 8, height: h = panel.kind === "stat" ? 4 : 7 } = panel;
      if (x + w > 24) {
        x = 0;
        y += tallest;
        tallest = 0;
      }
      all.push(panelOf(panel, all.length + 1, { x, y, w, h }));
      x += w;
      tallest = Math.max(tallest, h);
    }
    y += tallest;
  }
  return all;
}

const FRAMEWORK = {
  ...{ name: "framework", label: "Framework", type: "query", datasource: PROMETHEUS, refresh: 2, sort: 1 },
  query: { query: "label_values(vision_platform_attempts_waiting, framework)", refId: "A" },
  ...{ includeAll: true, allValue: ".*", multi: true, current: { text: "All", value: "$__all" } },
};

/** As Grafana imports it. */
export function grafanaDashboard({ uid, title, description, byFramework, rows }: Dashboard): object {
  return {
    ...{ uid, title, description, tags: ["vision-platform"], timezone: "browser", schemaVersion: 41, version: 1 },
    ...{ graphTooltip: 1, refresh: "30s", time: { from: "now-6h", to: "now" } },
    templating: { list: byFramework ? [FRAMEWORK] : [] },
    links: [{ title: "Vision Platform", type: "dashboards", tags: ["vision-platform"], asDropdown: true }],
    panels: layOut(rows),
  };
}
