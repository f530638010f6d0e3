/** The chart without a cluster: what it makes from which values, and that every field of it exists in Kubernetes' own API. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as kubernetes from "@kubernetes/client-node";
import { afterAll, describe, expect, it } from "vitest";

const CHART = join(import.meta.dirname, "../../../../../deploy/kubernetes/vision-platform");
/** A test aid, found on the PATH. */
const HELM = "helm";
const folder = mkdtempSync(join(tmpdir(), "vp-chart-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function helm(...args: string[]): string {
  return execFileSync(HELM, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function hasHelm(): boolean {
  try {
    helm("version");
    return true;
  } catch {
    return false;
  }
}

interface Resource {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own shape, and the tests look into many
  [field: string]: any;
}

function render(values: object = {}): Resource[] {
  const file = join(folder, "values.json");
  writeFileSync(file, JSON.stringify(values));
  const text = helm("template", "vp", CHART, "--namespace", "vision", "--kube-version", "1.34.0", "--values", file);
  return kubernetes.loadAllYaml(text).filter((resource) => resource !== null && resource !== undefined);
}

const EVERYTHING = {
  gateway: { autoscaling: { enabled: true }, env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" } },
  notifier: { autoscaling: { enabled: true } },
  worker: { keda: { enabled: true, prometheusAddress: "http://prometheus:9090" } },
  ingress: { enabled: true, className: "nginx", tlsSecret: "vision-tls" },
  image: { registry: "registry.example.org/team/", pullSecrets: ["registry"] },
  workers: [{ framework: "timm", slots: 3, settings: { gpu_resource: "nvidia.com/gpu", queue_name: "team" } }],
};

function find(resources: Resource[], kind: string, name: string): Resource {
  const found = resources.find((each) => each.kind === kind && each.metadata.name === name);
  if (!found) throw new Error(`no ${kind} ${name} among ${resources.map((each) => each.metadata.name).join(", ")}`);
  return found;
}

interface Model {
  getAttributeTypeMap(): { baseName: string; type: string }[];
}
const MODELS = kubernetes as unknown as Record<string, Model | undefined>;

/** Paths of fields that the kind's model in Kubernetes' own client does not have. */
function unknownFields(value: unknown, type: string, path: string): string[] {
  const [, item] = /^Array<(.*)>$/.exec(type) ?? [];
  if (item && Array.isArray(value)) return value.flatMap((each, at) => unknownFields(each, item, `${path}[${at}]`));
  const model = MODELS[type];
  if (!model?.getAttributeTypeMap || value === null || typeof value !== "object") return [];
  const known = new Map(model.getAttributeTypeMap().map((attribute) => [attribute.baseName, attribute.type]));
  return Object.entries(value).flatMap(([field, inner]) => {
    const inside = known.get(field);
    return inside === undefined ? [`${path}.${field}`] : unknownFields(inner, inside, `${path}.${field}`);
  });
}

function podsOf(resources: Resource[]) {
  return resources.filter(({ kind }) => kind === "Deployment").map(({ spec }) => spec.template.spec);
}

describe.skipIf(!hasHelm())("the chart (skipped without helm on the PATH)", () => {
  it("is clean by helm's own linter", () => {
    expect(helm("lint", CHART)).toContain("0 chart(s) failed");
  });

  it.each([
    ["its defaults", {}],
    ["everything turned on", EVERYTHING],
  ])("has no field that Kubernetes does not know, with %s", (_name, values) => {
    const wrong = render(values).flatMap((resource) => {
      const [group = "", version = group] = resource.apiVersion.split("/");
      const model = `${version.charAt(0).toUpperCase()}${version.slice(1)}${resource.kind}`;
      if (resource.kind === "ScaledObject") return [];
      expect(MODELS[model], model).toBeDefined();
      return unknownFields(resource, model, `${resource.kind} ${resource.metadata.name}`);
    });
    expect(wrong).toEqual([]);
  });

  it("makes a Deployment for each framework, and nothing else differs between them", () => {
    const resources = render({ workers: [{ framework: "timm" }, { framework: "brand_new" }] });
    const names = resources.filter(({ kind }) => kind === "Deployment").map(({ metadata }) => metadata.name);
    expect(names).toContain("vp-vision-platform-worker-timm");
    expect(names).toContain("vp-vision-platform-worker-brand-new");
  });

  it("runs every service restricted", () => {
    for (const pod of podsOf(render(EVERYTHING))) {
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
      expect(pod.enableServiceLinks).toBe(false);
      for (const container of pod.containers) {
        expect(container.securityContext).toMatchObject({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        expect(container.image).toMatch(/^registry\.example\.org\/team\/vision-platform-[a-z]+:0\.1\.0$/);
        expect(container.readinessProbe.httpGet.path).toBe("/ready");
      }
    }
  });

  it("gives workers rights in one namespace, never to read Secrets, and nothing in the whole cluster", () => {
    const resources = render(EVERYTHING);
    expect(resources.filter(({ kind }) => kind.startsWith("ClusterRole"))).toEqual([]);
    const role = find(resources, "Role", "vp-vision-platform-worker");
    expect(role.metadata.namespace).toBe("vision-trainers");
    const secrets = role.rules.filter(({ resources: what }: { resources: string[] }) => what.includes("secrets"));
    expect(secrets).toEqual([{ apiGroups: [""], resources: ["secrets"], verbs: ["create"] }]);
    expect(JSON.stringify(role.rules)).not.toContain("*");
  });

  it("encloses trainers: names, gateway, storage, Redis; the internet by label only", () => {
    const peers = [{ ipBlock: { cidr: "10.1.2.3/32" } }];
    const resources = render({ networkPolicy: { storage: { peers, ports: [7070] }, redis: { peers, ports: [6380] } } });
    const closed = find(resources, "NetworkPolicy", "vp-vision-platform-trainers");
    expect(closed.spec.ingress).toEqual([]);
    expect(closed.spec.egress).toHaveLength(4);
    expect(JSON.stringify(closed.spec.egress)).not.toContain("0.0.0.0/0");
    const open = find(resources, "NetworkPolicy", "vp-vision-platform-trainers-open");
    expect(open.spec.podSelector.matchLabels).toMatchObject({ "vision-platform.network": "open" });
    expect(open.spec.egress[0].to[0].ipBlock.except).toContain("169.254.0.0/16");
  });

  it("hands each framework's settings to its worker, those of all trainers below them", () => {
    const map = find(render(EVERYTHING), "ConfigMap", "vp-vision-platform-worker-timm");
    expect(kubernetes.loadYaml(map.data["trainers.yaml"])).toMatchObject({
      gpu_resource: "nvidia.com/gpu",
      queue_name: "team",
      limits: { cpu: "4", memory: "16Gi" },
      image_pull_secrets: ["registry"],
    });
  });

  it("scales workers by what waits and runs, a worker for each so many slots", () => {
    const scaled = find(render(EVERYTHING), "ScaledObject", "vp-vision-platform-worker-timm");
    expect(scaled.spec.triggers[0].metadata).toMatchObject({
      query:
        'max(vision_platform_attempts_waiting{framework="timm"}) + max(vision_platform_attempts_running{framework="timm"})',
      threshold: "3",
    });
    expect(find(render(EVERYTHING), "Deployment", "vp-vision-platform-worker-timm").spec.replicas).toBeUndefined();
  });

  it.each([
    ["the tag latest", { image: { tag: "latest" } }],
    ["a setting that there is not", { trainers: { settings: { privileged: true } } }],
    ["a misspelt value", { gatway: {} }],
    ["KEDA without a Prometheus", { worker: { keda: { enabled: true } } }],
  ])("refuses %s", (_name, values) => {
    expect(() => render(values)).toThrow(/values don't meet the specifications/);
  });

  it("is of the platform's version", () => {
    const { version } = JSON.parse(readFileSync(join(CHART, "../../../services/worker/package.json"), "utf8"));
    const chart = kubernetes.loadYaml<{ version: string; appVersion: string }>(
      readFileSync(join(CHART, "Chart.yaml"), "utf8"),
    );
    expect(chart).toMatchObject({ version, appVersion: version });
  });
});
