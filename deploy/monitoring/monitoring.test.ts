/** What Prometheus, Grafana and Loki are given fits what the services say, and says what to do. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FailureCode } from "@vision-platform/contracts/failure-codes";
import { ensurePromtool } from "@vision-platform/laptop/promtool";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { LOGGED_LABELS } from "../../services/worker/src/launchers/docker/agent/labels.ts";
import { DASHBOARDS, staleFiles } from "./generate.ts";
import { documentedMetrics, NODE_METRICS, seriesOf } from "./metric-table.ts";

const HERE = import.meta.dirname;
const read = (name: string) => readFileSync(join(HERE, name), "utf8");

interface Alert {
  alert: string;
  expr: string;
  for?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
const RULES = (parse(read("alerts.yml")) as { groups: { rules: Alert[] }[] }).groups.flatMap(({ rules }) => rules);

/** Every query of every panel that goes to Prometheus. */
const QUERIES = Object.values(DASHBOARDS).flatMap(({ title, rows }) =>
  rows
    .flatMap(({ panels }) => panels)
    .filter(({ kind }) => kind !== "logs")
    .flatMap((panel) => panel.queries.map(([expression]) => ({ of: `${title}: ${panel.title}`, expression }))),
);

const KNOWN = new Set([...documentedMetrics().flatMap(seriesOf), ...NODE_METRICS, "up", "ALERTS"]);

/** The metrics of an expression: names that are neither functions, labels, nor words of the language. */
function metricsOf(expression: string): string[] {
  const bare = expression
    .replaceAll(/"[^"]*"/g, '""')
    .replaceAll(/\{[^}]*\}/g, " ")
    .replaceAll(/\[[^\]]*\]/g, " ")
    .replaceAll(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, " ");
  const words = [...bare.matchAll(/[a-zA-Z_][a-zA-Z0-9_]*(?!\s*\(|\w)/g)].map(([word]) => word);
  return words.filter((word) => !["and", "or", "unless", "by", "bool", "e"].includes(word));
}

describe("alerts and dashboards", () => {
  it.each([...RULES.map(({ alert, expr }) => [alert, expr]), ...QUERIES.map(({ of, expression }) => [of, expression])])(
    "%s asks for metrics that exist",
    (_name, expression = "") => {
      const asked = metricsOf(expression);
      expect(asked.length).toBeGreaterThan(0);
      expect(asked.filter((name) => !KNOWN.has(name))).toEqual([]);
    },
  );

  it("look at every metric but those that a person asks for by hand", () => {
    const asked = new Set(
      [...RULES.map(({ expr }) => expr), ...QUERIES.map(({ expression }) => expression)].flatMap(metricsOf),
    );
    const unseen = documentedMetrics().filter((metric) => !seriesOf(metric).some((series) => asked.has(series)));
    expect(unseen.map(({ name }) => name)).toEqual(["vision_platform_events_unknown_total"]);
  });

  it("have names of their own; each alert says how bad it is, what it means, and what to do", () => {
    expect(new Set(RULES.map(({ alert }) => alert)).size).toBe(RULES.length);
    for (const { alert, labels, annotations } of RULES) {
      expect(["critical", "warning", "info"], alert).toContain(labels.severity);
      expect(Object.keys(annotations).toSorted(), alert).toEqual(["action", "description", "summary"]);
      for (const words of Object.values(annotations)) expect(words.length, alert).toBeGreaterThan(10);
    }
  });

  it("name failure codes that exist", () => {
    const words = RULES.flatMap(({ annotations }) => Object.values(annotations)).join("\n");
    const codes = [...words.matchAll(/\b[A-Z]+_[A-Z_]+\b/g)].map(([code]) => code);
    expect(codes.length).toBeGreaterThan(0);
    expect(FailureCode.options).toEqual(expect.arrayContaining(codes));
  });

  it("are what their code says", () => {
    expect(staleFiles(), "run node deploy/monitoring/generate.ts").toEqual([]);
    expect(readdirSync(join(HERE, "grafana/dashboards")).toSorted()).toEqual(Object.keys(DASHBOARDS).toSorted());
  });

  it("find their sources by the uids that are provisioned", () => {
    const { datasources } = parse(read("grafana/provisioning/datasources/vision-platform.yml"));
    const uids = new Set(datasources.map(({ uid }: { uid: string }) => uid));
    for (const name of Object.keys(DASHBOARDS)) {
      const asked = [...read(`grafana/dashboards/${name}`).matchAll(/"uid":"(vision-(?!platform)[a-z]+)"/g)];
      for (const [, uid] of asked) expect(uids).toContain(uid);
    }
  });
});

it("Alloy reads what the docker agent has the engine write beside a trainer's lines", () => {
  for (const label of LOGGED_LABELS) expect(read("alloy.alloy")).toContain(`"\\"${label}\\""`);
});

const tool = await ensurePromtool();
if (tool.path === null) process.stderr.write(`Prometheus is not asked for its opinion: ${tool.why}\n`);

/** What Prometheus' own tool answers. */
function promtool(...args: string[]): string {
  try {
    return execFileSync(tool.path ?? "promtool", args, { cwd: HERE, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    const { message, stdout = "", stderr = "" } = error as Error & { stdout?: string; stderr?: string };
    throw new Error(`${message}\n${stdout}${stderr}`);
  }
}

describe.skipIf(tool.path === null)("Prometheus takes (skipped where there is no promtool)", () => {
  let folder: string;
  beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "vp-monitoring-"))));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("the alerts, and they fire when they should", { timeout: 90_000 }, () => {
    expect(promtool("check", "rules", "alerts.yml")).toContain(`${RULES.length} rules found`);
    expect(promtool("test", "rules", "alerts.test.yml")).toContain("SUCCESS");
  });

  it("the configuration", () => {
    const file = join(folder, "prometheus.yml");
    writeFileSync(file, read("prometheus.yml").replace("/etc/prometheus/alerts.yml", join(HERE, "alerts.yml")));
    expect(promtool("check", "config", file)).toContain("is valid");
  });

  it("every query of the dashboards", () => {
    const file = join(folder, "queries.yml");
    const rules = QUERIES.map(({ expression }, index) => ({
      record: `query:${index}`,
      expr: expression.replaceAll("$__rate_interval", "5m").replaceAll("$framework", ".*"),
    }));
    writeFileSync(file, JSON.stringify({ groups: [{ name: "queries", rules }] }));
    expect(promtool("check", "rules", file)).toContain(`${rules.length} rules found`);
  });
});
