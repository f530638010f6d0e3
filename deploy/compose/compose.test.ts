import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { writeComposeEnv } from "@vision-platform/laptop/compose-env";
import { afterAll, describe, expect, it } from "vitest";
import { parse } from "yaml";

const ROOT = resolve(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

interface Service {
  image: string;
  build?: { target: string; args?: Record<string, string> };
  user?: string;
  environment?: Record<string, string>;
  volumes?: string[];
  ports?: string[];
  networks?: string[];
  network_mode?: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  restart?: string;
  healthcheck?: object;
  mem_limit?: string;
  depends_on?: Record<string, { condition: string }>;
}

const FILES = [
  "docker-compose.yml",
  "docker-compose.gpu.yml",
  "docker-compose.external-s3.yml",
  "deploy/compose/images.yml",
  "deploy/compose/monitoring.yml",
];
const services = (file: string) =>
  parse(read(file), { merge: true, customTags: [{ tag: "!reset", resolve: () => null }] }).services as Record<
    string,
    Service
  >;
const platform = services("docker-compose.yml");
const example = read(".env.example");
const explained = [...example.matchAll(/^(?:# )?([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => name ?? "");

/** The names of a schema's settings, as its source has them. */
function settingsOf(...files: string[]): string[] {
  const found = files.flatMap((file) => [...read(file).matchAll(/^ {2}([A-Z][A-Z0-9_]+):/gm)]);
  return found.map(([, name]) => name ?? "").filter((name) => !name.startsWith("TEST_"));
}

const COMMON = "services/common/src/config.ts";
const TRACING = settingsOf(COMMON).filter((name) => name.startsWith("OTEL_"));
const STORAGE = settingsOf(COMMON).filter((name) => !name.startsWith("OTEL_"));
const DOCKER = "services/worker/src/launchers/docker";

/** Every setting of a service, but those that have no meaning in a container of docker-compose.yml. */
const SETTINGS: Record<string, string[]> = {
  gateway: [...settingsOf("services/gateway/src/config.ts"), ...STORAGE, ...TRACING],
  notifier: [...settingsOf("services/notifier/src/config.ts"), ...TRACING],
  "worker-timm": [
    ...without(settingsOf("services/worker/src/config.ts", `${DOCKER}/settings.ts`), [
      // Trainers are containers on a network where everything has the same name; their images hold their environments.
      "TRAINER_ENVS_DIR",
      "TRAINER_GATEWAY_URL",
      "TRAINER_REDIS_URL",
      "TRAINER_S3_ENDPOINT",
      "CUDA_VISIBLE_DEVICES",
      // docker-compose.gpu.yml.
      "GPUS",
      // Its default fits stop_grace_period.
      "DRAIN_S",
      // A file that a container does not see.
      "GIT_SSL_CAINFO",
    ]),
    ...STORAGE,
    ...TRACING,
  ],
  "docker-agent": without(settingsOf(`${DOCKER}/agent/config.ts`), [
    // DOCKER_SOCKET is mounted where the agent looks; RELAYS: docker-compose.external-s3.yml.
    ...["DOCKER_HOST", "RELAYS", "RELAY_ADDRESS", "ENGINE_DISK"],
    // Made of others by readAgentConfig.
    ...["ENGINE_SOCKET", "OPEN_NETWORK"],
  ]),
};

function without(names: string[], left: string[]): string[] {
  return names.filter((name) => !left.includes(name));
}

const folder = mkdtempSync(join(tmpdir(), "vp-compose-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe(".env.example", () => {
  it("explains every variable that the compose files take, and no others", () => {
    const used = FILES.flatMap((file) => [...read(file).matchAll(/(?<!\$)\$\{([A-Z][A-Z0-9_]*)/g)]);
    const names = new Set([...used.map(([, name]) => name ?? ""), "COMPOSE_PROFILES"]);
    expect([...names].sort()).toEqual([...new Set(explained)].sort());
    for (const match of example.matchAll(/\n\n(?:# )?[A-Z_]+=/g)) expect.unreachable(`not explained: ${match[0]}`);
  });

  it("holds no secret", () => {
    const secret = Object.entries(parseEnv(example)).filter(([name]) => /PASSWORD|SECRET|TOKEN|KEY/.test(name));
    expect(secret.length).toBeGreaterThan(8);
    expect(secret.filter(([, value]) => value !== "")).toEqual([]);
  });
});

describe("docker-compose.yml", () => {
  it.each(Object.keys(SETTINGS))("gives %s every setting that its schema knows", (name) => {
    const given = Object.keys(platform[name]?.environment ?? {});
    expect(without(SETTINGS[name] ?? [], given)).toEqual([]);
    // And nothing that it would not understand: a worker's are those of its schema alone.
    const known = new Set([...(SETTINGS[name] ?? []), ...STORAGE, ...TRACING]);
    expect(given.filter((setting) => !known.has(setting))).toEqual([]);
  });

  it("has a worker and an image for each framework that people see, and all workers alike", () => {
    const frameworks = globSync("trainers/*/trainer.json", { cwd: ROOT })
      .map((file) => JSON.parse(read(file)))
      .filter(({ listed = true, framework }) => listed || framework === "dataset");
    const images = services("deploy/compose/images.yml");
    for (const { framework, environment, license, enabled } of frameworks) {
      const worker = platform[`worker-${framework}`];
      expect(worker?.environment).toEqual({
        ...platform["worker-timm"]?.environment,
        FRAMEWORK: framework,
        WORK_DIR: `/var/lib/vision-platform/${framework}`,
      });
      const { LICENSE = "Apache-2.0", ...args } = images[`image-${framework}`]?.build?.args ?? {};
      expect(args).toEqual({
        FRAMEWORK: framework,
        ...(environment.torch ? { TRAINER_PARENT: "torch-layers" } : {}),
        ...(environment.system_packages?.length > 0 ? { SYSTEM_PACKAGES: environment.system_packages.join(" ") } : {}),
      });
      if (enabled) expect(LICENSE).toBe(license);
    }
    expect(Object.keys(platform).filter((name) => name.startsWith("worker-"))).toHaveLength(frameworks.length);
  });

  it("uses the images of this very version, unless it is told otherwise", () => {
    const { version } = JSON.parse(read("package.json"));
    const tags = FILES.flatMap((file) => [...read(file).matchAll(/\$\{IMAGE_TAG:-([^}]*)\}/g)].map(([, tag]) => tag));
    expect(tags.length).toBeGreaterThan(8);
    expect(new Set(tags)).toEqual(new Set([version]));
    const all = FILES.flatMap((file) => Object.values(services(file)));
    for (const { image } of all.filter((service) => service.image)) expect(image).toMatch(/:[^:]*\d/);
  });

  it("gives our own services nothing they do not need", () => {
    const own = Object.entries(platform).filter(([, { build }]) => build);
    expect(own).toHaveLength(8);
    for (const [name, service] of own) {
      expect(service, name).toMatchObject({
        read_only: true,
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
        restart: "unless-stopped",
        healthcheck: { test: expect.any(Array) },
        mem_limit: expect.any(String),
      });
    }
    const all = FILES.flatMap((file) => Object.entries(services(file)));
    const withSocket = all.filter(([, { volumes = [] }]) => volumes.some((volume) => volume.includes("docker.sock")));
    expect(withSocket.map(([name]) => name)).toEqual(["docker-agent"]);
    expect(platform["docker-agent"]).toMatchObject({ network_mode: "none", user: "10002:10000" });
    const agent = Object.keys(platform["docker-agent"]?.environment ?? {});
    expect(agent.filter((name) => /S3|REDIS|INTERNAL|JWT|DATABASE/.test(name))).toEqual([]);
    // Only the gateway knows the database and what signs sessions.
    for (const secret of ["DATABASE_URL", "JWT_SECRET"]) {
      expect(all.filter(([, { environment }]) => environment?.[secret]).map(([name]) => name)).toEqual(["gateway"]);
    }
    const among = Object.entries(platform).filter(([, { networks }]) => networks?.includes("jobs"));
    expect(among.map(([name]) => name).sort()).toEqual(["gateway", "s3", "valkey"]);
  });

  it("listens on this machine only, unless it is told otherwise", () => {
    const ports = FILES.flatMap((file) => Object.values(services(file)).flatMap((service) => service.ports ?? []));
    expect(ports.length).toBeGreaterThan(6);
    for (const port of ports) expect(port).toMatch(/^(127\.0\.0\.1|\$\{BIND_ADDRESS:-127\.0\.0\.1\}):/);
  });

  it("starts each part when what it needs is healthy", () => {
    for (const [name, { depends_on = {} }] of Object.entries(platform)) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        expect(condition, `${name} on ${other}`).toBe("service_healthy");
        expect(platform[other]?.healthcheck, other).toBeDefined();
      }
    }
  });

  const compose = composeVersion();
  it.skipIf(compose === null)("is taken by docker compose with every profile and override file", () => {
    const env = join(folder, "whole.env");
    writeComposeEnv(env, join(ROOT, ".env.example"));
    writeFileSync(env, `${readFileSync(env, "utf8")}S3_RELAY=storage.example.org:443\n`);
    const check = (...files: string[]) =>
      execFileSync(
        "docker",
        [
          ...["compose", "--env-file", env, "--profile", "*"],
          ...files.flatMap((file) => ["--file", file]),
          ...["config", "--quiet"],
        ],
        { cwd: ROOT, stdio: "pipe" },
      );
    check("docker-compose.yml");
    check("docker-compose.yml", "docker-compose.gpu.yml", "docker-compose.external-s3.yml");
    const empty = join(folder, "empty.env");
    writeFileSync(empty, "");
    const refused = () =>
      execFileSync("docker", ["compose", "--env-file", empty, "config", "--quiet"], { cwd: ROOT, stdio: "pipe" });
    expect(refused).toThrow(/vp compose-env/);
  });
});

describe("./vp compose-env", () => {
  it("writes random secrets once, for its owner's eyes", () => {
    const file = join(folder, ".env");
    const { fresh } = writeComposeEnv(file, join(ROOT, ".env.example"));
    expect(fresh).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const first = parseEnv(readFileSync(file, "utf8"));
    const secrets = Object.keys(parseEnv(example)).filter((name) => /PASSWORD|SECRET|TOKEN|KEY/.test(name));
    for (const name of secrets) expect(first[name], name).toMatch(/^[0-9a-f]{48}$/);
    expect(new Set(secrets.map((name) => first[name])).size).toBe(secrets.length);
    expect(writeComposeEnv(file, join(ROOT, ".env.example"))).toMatchObject({ fresh: false, added: [] });
    expect(parseEnv(readFileSync(file, "utf8"))).toEqual(first);
  });

  it("adds the secrets that an older file lacks, and changes nothing else", () => {
    const file = join(folder, "old.env");
    writeFileSync(file, "POSTGRES_PASSWORD=mine\nREDIS_PASSWORD=mine too\nDOCKER_GID=7\nMLFLOW_TRACKING_URI=\n");
    const { added } = writeComposeEnv(file, join(ROOT, ".env.example"));
    expect(added).toContain("REDIS_WORKER_PASSWORD");
    expect(added).not.toContain("MLFLOW_TRACKING_URI");
    const now = parseEnv(readFileSync(file, "utf8"));
    expect(now).toMatchObject({ POSTGRES_PASSWORD: "mine", DOCKER_GID: "7", MLFLOW_TRACKING_URI: "" });
    expect(now.JWT_SECRET).toMatch(/^[0-9a-f]{48}$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});

function composeVersion(): string | null {
  try {
    return execFileSync("docker", ["compose", "version", "--short"], { encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return null;
  }
}
