import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { TrainerManifest } from "@vision-platform/contracts/trainer-manifest";
import { describe, expect, it } from "vitest";
import { readConfig as readGatewayConfig } from "../../../services/gateway/src/config.ts";
import { readConfig as readNotifierConfig } from "../../../services/notifier/src/config.ts";
import { readConfig as readWorkerConfig } from "../../../services/worker/src/config.ts";
import { openEdge } from "./edge.ts";
import { buildArguments } from "./images.ts";
import { connectionsOverIpv4 } from "./isolation.ts";
import { longEpochs } from "./redeploy.ts";
import { readServiceConfig, readVariables, serviceNames } from "./service-config.ts";
import { parseVariables, resolveVariables } from "./variables.ts";

/** A reference as people write it. */
const ref = (name: string) => `\${{${name}}}`;

const TRAINERS = resolve(import.meta.dirname, "../../../trainers");
const workers = serviceNames().filter((name) => name.startsWith("worker-"));

/** What the project has beside our services. */
const given = {
  Postgres: { DATABASE_URL: "postgresql://postgres:secret@postgres.railway.internal:5432/railway" },
  Redis: { REDIS_URL: "redis://default:secret@redis.railway.internal:6379" },
  shared: {
    ...parseVariables(readVariables("shared")),
    INTERNAL_TOKEN: "i".repeat(64),
    JWT_SECRET: "j".repeat(64),
    STORAGE_BUCKET: "bucket",
    S3_ENDPOINT: "https://account.r2.cloudflarestorage.com",
    S3_ACCESS_KEY_ID: "key",
    S3_SECRET_ACCESS_KEY: "secret",
  },
};
const project = {
  ...given,
  ...Object.fromEntries(
    serviceNames().map((name) => [
      name,
      {
        RAILWAY_PRIVATE_DOMAIN: `${name}.railway.internal`,
        RAILWAY_PUBLIC_DOMAIN: `${name}.example.org`,
        ...parseVariables(readVariables(name)),
      },
    ]),
  ),
};

describe("the committed services", () => {
  it("are the gateway, the notifier and a worker for every framework that people see", () => {
    const listed = readdirSync(TRAINERS, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "sdk")
      .map(({ name }) => TrainerManifest.parse(JSON.parse(readFileSync(join(TRAINERS, name, "trainer.json"), "utf8"))))
      .filter(({ listed }) => listed !== false)
      .map(({ framework }) => `worker-${framework}`);
    expect(serviceNames().sort()).toEqual(["gateway", "notifier", ...new Set(["worker-dataset", ...listed])].sort());
  });

  it.each(serviceNames())("%s: its config is what Railway takes, and its image comes from our Dockerfile", (name) => {
    const { build, deploy } = readServiceConfig(name);
    expect(build.dockerfilePath).toBe("deploy/images/Dockerfile");
    expect(deploy.healthcheckPath).toBe("/ready");
    const dockerfile = readFileSync(resolve(TRAINERS, "..", build.dockerfilePath), "utf8");
    const variables = parseVariables(readVariables(name));
    expect(dockerfile).toContain(` AS ${variables.SERVICE}\n`);
    expect(buildArguments(dockerfile, variables)).toContain(`SERVICE=${variables.SERVICE}`);
  });

  it.each(serviceNames())("%s: every reference leads somewhere, and it listens on all addresses", (name) => {
    const variables = resolveVariables(project, name);
    expect(variables.HOST).toBe("::");
    expect(Object.values(variables).filter((value) => value.includes(ref("").slice(0, 3)))).toEqual([]);
  });

  it.each(serviceNames())("%s: starts with these variables, and with what its image brings", (name) => {
    const image = {
      TRAINERS_DIR: "/app/trainers",
      TRAINER_ENVS_DIR: "/opt/environments",
      WORK_DIR: "/var/lib/vision-platform",
    };
    const read = name.startsWith("worker-")
      ? readWorkerConfig
      : name === "gateway"
        ? readGatewayConfig
        : readNotifierConfig;
    expect(() => read({ ...image, ...resolveVariables(project, name) })).not.toThrow();
  });

  it.each(workers)("%s: is built as its trainer.json says, and drains for as long as Railway lets it", (name) => {
    const variables = resolveVariables(project, name);
    const framework = name.replace("worker-", "");
    const manifest = TrainerManifest.parse(JSON.parse(readFileSync(join(TRAINERS, framework, "trainer.json"), "utf8")));
    expect(variables.FRAMEWORK).toBe(framework);
    expect(variables.TRAINER_PARENT).toBe(manifest.environment?.torch ? "torch-layers" : "python-layers");
    expect(variables.SYSTEM_PACKAGES ?? "").toBe(manifest.environment?.system_packages.join(" ") ?? "");
    expect(Number(variables.DRAIN_S)).toBe(readServiceConfig(name).deploy.drainingSeconds);
    expect(variables.GATEWAY_URL).toBe("http://gateway.railway.internal:8080");
  });
});

describe("resolveVariables", () => {
  it("fills in references to other services, to shared ones and to its own", () => {
    const variables = {
      a: { X: [ref("b.Y"), ref("shared.Z"), ref("OWN")].join("/"), OWN: "1" },
      b: { Y: ref(" OWN "), OWN: "2" },
      shared: { Z: "z" },
    };
    expect(resolveVariables(variables, "a")).toEqual({ X: "2/z/1", OWN: "1" });
  });

  it("refuses what leads nowhere or in a circle, by name", () => {
    expect(() => resolveVariables({ a: { X: ref("Redis.URL") } }, "a")).toThrow("a: nothing is called Redis.URL");
    expect(() => resolveVariables({ a: { X: ref("Y"), Y: ref("X") } }, "a")).toThrow("refers to itself");
  });

  it("reads what a person pastes, and says which line it does not understand", () => {
    expect(parseVariables("# why\n\nA=1\nB=x=y\n")).toEqual({ A: "1", B: "x=y" });
    expect(() => parseVariables("export A=1")).toThrow('"export A=1"');
  });
});

describe("longEpochs", () => {
  it("makes a training last far beyond the draining time, also when its epochs are twice as quick", () => {
    const epochs = longEpochs({ pace: 0.5, deploying: 10, draining: 60 });
    expect((epochs * 0.5) / 2).toBeGreaterThan(10 + 60);
  });
});

describe("openEdge", () => {
  it("sends each connection to one of the targets, and follows them as they change", async () => {
    const servers = await Promise.all(
      ["old", "new"].map(async (name) => {
        const server = createServer((_request, response) => response.end(name));
        server.listen(0, "127.0.0.1");
        await once(server, "listening");
        return { server, port: (server.address() as AddressInfo).port };
      }),
    );
    let targets = [{ host: "127.0.0.1", port: servers[0]?.port ?? 0 }];
    const edge = await openEdge(() => targets);
    const ask = async () => await (await fetch(edge.url, { headers: { connection: "close" } })).text();
    expect(await ask()).toBe("old");
    targets = [{ host: "127.0.0.1", port: servers[1]?.port ?? 0 }];
    expect(await ask()).toBe("new");
    targets = [];
    await expect(ask()).rejects.toThrow();
    edge.close();
    for (const { server } of servers) server.close();
  });
});

describe("connectionsOverIpv4", () => {
  it("finds established ones to others, and no others", () => {
    const head = "  sl  local_address rem_address   st tx_queue";
    const listening = "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000";
    const toDocker = "   1: 0B00007F:8001 0B00007F:0035 01 00000000:00000000";
    const toOther = "   2: 020012AC:8002 030012AC:18EB 01 00000000:00000000";
    const table = [head, listening, toDocker, toOther].join("\n");
    expect(connectionsOverIpv4(table, [5432, 6379])).toEqual(["030012AC:18EB"]);
    expect(connectionsOverIpv4(table, [5432])).toEqual([]);
  });
});
