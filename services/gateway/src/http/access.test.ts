/** Every operation against everybody who may not call it. New operations are covered without a word here. */
import { createHmac, randomBytes } from "node:crypto";
import { operationUrl } from "@vision-platform/common/api-client";
import { completeUpload, createDataset, createUpload } from "@vision-platform/contracts/api/datasets";
import type { Operation } from "@vision-platform/contracts/api/operation";
import { OPERATIONS } from "@vision-platform/contracts/api/operations";
import jwt from "jsonwebtoken";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestGateway, type TestGateway, type TestUser } from "../testing.ts";

let test: TestGateway;
let owner: TestUser;
let foreign: TestUser;
let ids: Record<string, number | string>;

const ZIP_BYTES = 22;

beforeAll(async () => {
  test = await startTestGateway({ background: false });
  await test.user("administrator");
  owner = await test.user("owner");
  foreign = await test.user("foreign");
  const project_id = await test.project(owner);
  const dataset = await owner.call(createDataset, {
    body: { project_id, name: "set", task_type: "image_classification" },
  });
  const params = { dataset_id: dataset.id };
  const upload = await owner.call(createUpload, { params, body: { filename: "a.zip", bytes: ZIP_BYTES } });
  await fetch(upload.urls[0]?.url ?? "", { method: "PUT", body: Buffer.alloc(ZIP_BYTES) });
  const { job_id } = await owner.call(completeUpload, { params: { ...params, upload_id: upload.upload_id }, body: {} });
  ids = { project_id, dataset_id: dataset.id, upload_id: upload.upload_id, job_id, user_id: owner.session.user.id };
});
afterAll(() => test.stop());

/** A request with parameters that exist; the body is right where it is needed to get past the check of the body. */
async function send(
  op: Operation,
  token: string | undefined,
  params: Record<string, unknown> = ids,
  input = inputOf(op, params),
) {
  const all = { attempt: 1, api_key_id: 1, framework: "timm", model_name: "test_resnet", ...params };
  const response = await fetch(operationUrl(test.url, op, all, input.query), {
    method: op.method.toUpperCase(),
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(input.body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(input.body === undefined ? {} : { body: JSON.stringify(input.body) }),
  });
  const problem = response.headers.get("content-type")?.startsWith("application/problem+json")
    ? await response.json()
    : undefined;
  if (problem === undefined) await response.body?.cancel();
  return { status: response.status, problem: problem as { code: string; trace_id: string } | undefined };
}

/** Bodies and queries that are right, for the operations that touch a project. */
function inputOf(
  op: Operation,
  { project_id, dataset_id }: Record<string, unknown>,
): { body?: object; query?: object } {
  const spec = {
    framework: "timm",
    model_name: "test_resnet",
    task_type: "image_classification",
    epochs: 1,
    batch_size: 1,
    learning_rate: 0.1,
  };
  const inputs: Record<string, { body?: object; query?: object }> = {
    updateProject: { body: { name: "renamed" } },
    putMember: { body: { email: "foreign@example.org", role: "owner" } },
    createDataset: { body: { project_id, name: "other", task_type: "image_classification" } },
    listDatasets: { query: { project_id } },
    createUpload: { body: { filename: "a.zip", bytes: ZIP_BYTES } },
    completeUpload: { body: {} },
    createJob: { body: { project_id, dataset_id, ...spec } },
    createDerivedJob: { body: { kind: "evaluate" } },
    createImageUploads: { body: { files: [{ filename: "a.jpg", bytes: 1 }] } },
    listJobs: { query: { project_id } },
    updateJob: { body: { name: "renamed" } },
  };
  return inputs[op.id] ?? {};
}

const restricted = OPERATIONS.filter((op) => op.access !== "public");
const ofProjects = OPERATIONS.filter(
  (op) =>
    op.access === "user" &&
    (/\{(project|dataset|job)_id\}/.test(op.path) ||
      ["createDataset", "listDatasets", "createJob", "listJobs"].includes(op.id)),
);

describe.each(restricted.map((op) => [op.id, op] as const))("%s", (_, op) => {
  it("refuses who shows no token, or none of ours", async () => {
    for (const token of [undefined, "x", "vp_unknown", `${randomBytes(32).toString("hex")}`, "a.b.c"]) {
      const { status, problem } = await send(op, token);
      expect([status, problem?.trace_id.length]).toEqual([401, 32]);
    }
  });

  it("refuses forged tokens", async () => {
    for (const [kind, token] of Object.entries(forgeries()))
      expect([kind, (await send(op, token)).status]).toEqual([kind, 401]);
  });

  it("refuses tokens made for other doors", async () => {
    const { config, tokens } = test.gateway;
    const doors = {
      user: owner.session.access_token,
      internal: config.INTERNAL_TOKEN,
      attempt: tokens.mintCallbackToken({ job_id: Number(ids.job_id), attempt: 1, ttl_s: 60 }),
      refresh: owner.session.refresh_token,
    };
    for (const [door, token] of Object.entries(doors)) {
      if (door !== op.access) expect([door, (await send(op, token)).status]).toEqual([door, 401]);
    }
  });
});

describe.each(ofProjects.map((op) => [op.id, op] as const))("%s", (_, op) => {
  it("is not for people outside the project", async () => {
    expect(await send(op, foreign.session.access_token)).toMatchObject({
      status: 403,
      problem: { code: "not_a_member" },
    });
  });

  it("answers 404 for what does not exist", async () => {
    const missing = { ...ids, project_id: 999_999, dataset_id: 999_999, job_id: 999_999 };
    expect((await send(op, owner.session.access_token, missing)).status).toBe(404);
  });

  it("refuses ids that are none, with a pointer", async () => {
    for (const bad of ["abc", "0", "-1", "1.5", "99999999999"]) {
      const params = { ...ids, project_id: bad, dataset_id: bad, job_id: bad };
      const { status, problem } = await send(op, owner.session.access_token, params);
      expect([bad, status]).toEqual([bad, 422]);
      const { errors } = problem as unknown as { errors: { pointer: string }[] };
      for (const { pointer } of errors) expect(pointer).toMatch(/^\/(path\/|query\/)?(project|dataset|job)_id$/);
    }
  });
});

/** Tokens that somebody without JWT_SECRET, or with a token for something else, could make. */
function forgeries(): Record<string, string> {
  const { JWT_SECRET } = test.gateway.config;
  const claims = { sub: String(owner.session.user.id), is_admin: true, job_id: ids.job_id, attempt: 1 };
  const audience = ["vision-platform-api", "vision-platform-trainer"];
  const good = { algorithm: "HS256", issuer: "vision-platform", audience, expiresIn: 60 } as const;
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + 60;
  const payload = encode({ ...claims, iss: "vision-platform", aud: audience, exp });
  const hs512 = `${encode({ alg: "HS512", typ: "JWT" })}.${payload}`;
  return {
    "no algorithm": `${encode({ alg: "none", typ: "JWT" })}.${payload}.`,
    "another algorithm": `${hs512}.${createHmac("sha512", JWT_SECRET).update(hs512).digest("base64url")}`,
    "another key": jwt.sign(claims, randomBytes(32), good),
    "another issuer": jwt.sign(claims, JWT_SECRET, { ...good, issuer: "somebody" }),
    "another audience": jwt.sign(claims, JWT_SECRET, { ...good, audience: "somebody" }),
    "no audience": jwt.sign(claims, JWT_SECRET, { algorithm: "HS256", issuer: "vision-platform", expiresIn: 60 }),
    expired: jwt.sign(claims, JWT_SECRET, { ...good, expiresIn: -1 }),
    "no end": jwt.sign(claims, JWT_SECRET, { algorithm: "HS256", issuer: good.issuer, audience }),
    "a changed payload": jwt
      .sign({ ...claims, is_admin: false }, JWT_SECRET, good)
      .replace(/\.[^.]+\./, `.${payload}.`),
    "no subject": jwt.sign({ is_admin: true }, JWT_SECRET, good),
  };
}

describe("callback tokens", () => {
  const callbacks = OPERATIONS.filter((op) => op.access === "attempt");

  it.each(callbacks.map((op) => [op.id, op] as const))("%s refuses the token of another job", async (_, op) => {
    const token = test.gateway.tokens.mintCallbackToken({ job_id: Number(ids.job_id) + 1, attempt: 1, ttl_s: 60 });
    const { status, problem } = await send(op, token);
    expect([status, problem?.code]).toEqual([401, "token_of_other_job"]);
  });
});
