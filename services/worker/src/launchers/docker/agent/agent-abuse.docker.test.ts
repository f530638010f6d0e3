/** What a worker that somebody took over could try at the agent's socket: everything but a proper launch is refused. */
import { randomInt } from "node:crypto";
import { statSync } from "node:fs";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SCRIPTED_COMMAND } from "../../../testing/scripted-image.ts";
import { engineAnswers, startTestAgent, type TestAgent } from "../testing/agent-process.ts";
import { rawRequest } from "../testing/raw-request.ts";

const there = await engineAnswers();
let agent: TestAgent;
const foreign: Docker.Container[] = [];

function proper(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const job_id = randomInt(1, 2_000_000_000);
  return {
    job_id,
    attempt: 1,
    framework: "scripted",
    kind: "train",
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    marker: `${job_id}-1-abuse`,
    image: agent.image,
    command: SCRIPTED_COMMAND,
    env: {
      JOB_ID: String(job_id),
      ATTEMPT: "1",
      JOB_KIND: "train",
      CONFIG_JSON: JSON.stringify({ script: [{ do: "sleep", ms: 600_000 }] }),
      EVENTS_MODE: "stdout",
      CALLBACK_URL: "http://127.0.0.1:9",
      CALLBACK_TOKEN: "none",
      OUTPUT_URI: "s3://bucket/jobs/1/",
      STORAGE_BUCKET: "bucket",
      S3_ENDPOINT: "http://127.0.0.1:9",
      S3_ACCESS_KEY_ID: "id",
      S3_SECRET_ACCESS_KEY: "secret",
    },
    shm_bytes: 67_108_864,
    gpus: [],
    allow_network: false,
    nice: 5,
    max_runtime_s: 600,
    ...changes,
  };
}

const launch = (changes: Record<string, unknown>) =>
  rawRequest(agent.socket, { method: "POST", path: "/v1/launches", body: proper(changes) });

/** The containers of this instance, whatever their state. */
async function made(): Promise<Docker.ContainerInfo[]> {
  const label = [`vision-platform.instance=${agent.instance}`];
  return await agent.engine.listContainers({ all: true, filters: { label } });
}

/** Of somebody else: without our labels, or with those of another platform. */
async function foreignContainer(Labels: Record<string, string>): Promise<Docker.Container> {
  const container = await agent.engine.createContainer({
    Image: agent.image,
    Entrypoint: ["sleep"],
    Cmd: ["600"],
    Labels,
  });
  foreign.push(container);
  await container.start();
  return container;
}

describe.skipIf(!there)("the docker agent", () => {
  beforeAll(async () => {
    agent = await startTestAgent({ WORK_BYTES: "33554432", TMP_BYTES: "16777216" });
  });
  afterAll(async () => {
    await Promise.all(foreign.map((each) => each.remove({ force: true, v: true })));
    await agent.stop();
  });

  it("lets in its user and group alone", () => {
    expect(statSync(agent.socket).mode & 0o777).toBe(0o660);
  });

  it.each([
    ["an image that is no trainer's", { image: "debian:12" }],
    ["another tag of a trainer's image", { image: "vision-platform-scripted:other" }],
    ["an image by its digest", { image: `vision-platform-scripted@sha256:${"0".repeat(64)}` }],
    ["another program", { command: ["/bin/sh", "-c", "id"] }],
    ["a framework that is not there", { framework: "nobody" }],
    ["a kind of job that the framework does not do", { kind: "export" }],
    ["the open network where the agent forbids it", { allow_network: true }],
  ])("refuses %s", async (_what, changes) => {
    const { text: said } = await launch(changes);
    expect(JSON.parse(said)).toMatchObject({ refused: { code: "refused" } });
    expect(await made()).toEqual([]);
  });

  it.each([
    ["a bind mount", { binds: ["/:/host"] }],
    ["mounts", { mounts: [{ Type: "bind", Source: "/", Target: "/host" }] }],
    ["the engine's own words", { HostConfig: { Privileged: true, Binds: ["/:/host"] } }],
    ["privileges", { privileged: true }],
    ["the host's network", { network: "host" }],
    ["the host's processes", { pid: "host" }],
    ["capabilities", { cap_add: ["SYS_ADMIN"] }],
    ["devices", { devices: ["/dev/kvm"] }],
    ["another user", { user: "0" }],
    ["another entrypoint", { entrypoint: ["/bin/sh"] }],
    ["labels", { labels: { "vision-platform.instance": "other" } }],
    ["another platform's instance", { instance: "other" }],
    ["GPUs by NVIDIA's variables", { env: { NVIDIA_VISIBLE_DEVICES: "all" } }],
    ["every GPU", { gpus: ["all"] }],
    ["a name that is no variable's", { env: { "A=B": "c" } }],
    ["a marker with a way in it", { marker: "../../x" }],
    ["a framework with a way in it", { framework: "../scripted" }],
    ["a job number that is none", { job_id: "1 --privileged" }],
    ["more shared memory than there is room in numbers", { shm_bytes: 1e30 }],
    ["no memory limit by a negative one", { memory_bytes: -1 }],
  ])("has no field for %s", async (_what, changes) => {
    const { status, text: said } = await launch(changes);
    expect({ status, code: JSON.parse(said).code }).toEqual({ status: 400, code: "bad_request" });
    expect(await made()).toEqual([]);
  });

  it("names the fields that are wrong", async () => {
    const { text: said } = await launch({ privileged: true, nice: 99 });
    expect(JSON.parse(said).message).toMatch(/nice: .*privileged|privileged.*nice/s);
  });

  it("encloses what it launches", async () => {
    const limits = { memory_bytes: 268_435_456, cpus: 0.5 };
    const { text: said } = await launch(limits);
    const { launched } = JSON.parse(said.trim().split("\n").at(-1) ?? "");
    const { HostConfig: host, Config, Mounts } = await agent.engine.getContainer(launched.id).inspect();
    expect(Config.User).toBe("10001:10001");
    expect(host).toMatchObject({
      Privileged: false,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      ReadonlyRootfs: true,
      IpcMode: "private",
      PidMode: "",
      UTSMode: "",
      UsernsMode: "",
      NetworkMode: `vision-platform-${agent.instance}-jobs`,
      Memory: 268_435_456,
      MemorySwap: 268_435_456,
      NanoCpus: 500_000_000,
      PidsLimit: 4_096,
      ShmSize: 67_108_864,
      RestartPolicy: { Name: "no" },
      AutoRemove: false,
      Binds: [`vision-platform-${agent.instance}-cache:/cache:rw`],
    });
    expect([host.CapAdd, host.Devices, host.PortBindings].flatMap((each) => each ?? [])).not.toContainEqual(
      expect.anything(),
    );
    expect(Mounts).toMatchObject([{ Type: "volume", Destination: "/cache" }]);
    expect(host.Tmpfs?.["/work"]).toContain("size=33554432,mode=0700,uid=10001");
    expect(Config.Env).toContain("NVIDIA_VISIBLE_DEVICES=void");
    const network = await agent.engine.getNetwork(host.NetworkMode ?? "").inspect();
    expect(network.Internal).toBe(true);
    await rawRequest(agent.socket, { method: "DELETE", path: `/v1/containers/${launched.id}` });
    expect(await made()).toEqual([]);
  });

  it.each([
    ["without our labels", {}],
    ["of another platform", { "vision-platform.instance": "another", "vision-platform.job": "1" }],
  ])("does not see, read, signal or remove a container %s", async (_what, labels) => {
    const container = await foreignContainer(labels);
    const path = `/v1/containers/${container.id}`;
    for (const asked of [
      { path: `${path}/exit` },
      { path: `${path}/log` },
      { method: "POST", path: `${path}/signal`, body: { signal: "SIGKILL" } },
      { method: "DELETE", path },
    ]) {
      expect((await rawRequest(agent.socket, asked)).status).toBe(404);
    }
    expect((await rawRequest(agent.socket, { path: "/v1/containers" })).text).toBe('{"items":[]}');
    expect((await container.inspect()).State.Running).toBe(true);
  });

  it.each([
    "/containers/json",
    "/v1.41/containers/json",
    "/v1/containers/../../info",
    "/v1/containers/..%2f..%2finfo/log",
    "/v1/containers/%2e%2e/exit",
    `/v1/containers/${"a".repeat(63)}/exit`,
    `/v1/containers/${"a".repeat(64)}?all=1`,
    `/v1/containers/vp-1-a1/log`,
    `/v1/containers/${"a".repeat(64)}/log?from=0&stdin=1`,
    "http://127.0.0.1/v1/../info",
    "/V1/state",
  ])("knows no way through %s", async (path) => {
    expect([400, 404]).toContain((await rawRequest(agent.socket, { path })).status);
  });

  it.each(["PUT", "PATCH", "POST", "OPTIONS"])("does not answer %s where it has no operation", async (method) => {
    expect((await rawRequest(agent.socket, { method, path: "/v1/state" })).status).toBe(404);
  });

  it("takes no signal but the two, and no other words with it", async () => {
    const path = `/v1/containers/${"a".repeat(64)}/signal`;
    for (const body of [{ signal: "SIGSTOP" }, { signal: "SIGTERM", all: true }, ["SIGTERM"], "{"]) {
      expect((await rawRequest(agent.socket, { method: "POST", path, body })).status).toBe(400);
    }
  });

  it("reads no body that is too long, and none that comes too slowly", async () => {
    const body = proper({ env: { A: "x".repeat(2_000_000) } });
    const { status } = await rawRequest(agent.socket, { method: "POST", path: "/v1/launches", body });
    expect(status).toBe(400);
    const socket = connect(agent.socket);
    socket.write(
      "POST /v1/launches HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
    );
    expect(await text(socket)).toMatch(/^(HTTP\/1\.1 408|$)/);
  }, 60_000);

  it("leaves a socket alone that another agent answers at", async () => {
    await expect(startTestAgent({ DOCKER_AGENT_SOCKET: agent.socket })).rejects.toThrow("ended at once");
    expect((await rawRequest(agent.socket, { path: "/health" })).status).toBe(200);
  });
});
