import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { workerHeartbeat } from "@vision-platform/contracts/api/internal";
import { createJob } from "@vision-platform/contracts/api/jobs";
import { createWeightsUpload, getModel, listFrameworks, listModels } from "@vision-platform/contracts/api/models";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findWeights } from "../attempts/weights.ts";
import { startJobWorld } from "../jobs/job-testing.ts";
import { startTestGateway, type TestGateway, type TestUser } from "../testing.ts";
import { loadCatalogue } from "./catalogue.ts";

const MODEL = {
  name: "small",
  title: "Small",
  tasks: ["image_classification"],
  params_m: 1,
  input_size: 32,
  license: "MIT",
  tags: ["fast", "tiny"],
  pretrained: false,
};
const HYPERPARAMETERS = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  additionalProperties: false,
  properties: {
    ema: { type: "number", minimum: 0, maximum: 1, default: 0.99 },
    optimizer: { enum: ["sgd", "adamw"], default: "sgd" },
    crop: {
      type: "object",
      additionalProperties: false,
      required: ["size"],
      properties: { size: { type: "integer" } },
    },
  },
};

const JOB = { framework: "aa", model_name: "small", kind: "train" } as const;

function manifest(framework: string, change: object = {}) {
  return {
    ...{ contract_version: 1, framework, title: framework, license: "MIT", image: "none", enabled: true },
    kinds: { train: { command: ["python", "-m", "x"] } },
    tasks: { image_classification: { primary_metric: "val/top1", direction: "max" } },
    hyperparameters: HYPERPARAMETERS,
    models: [MODEL, { ...MODEL, name: "large", tags: ["slow"] }],
    ...change,
  };
}

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "trainers-"));
});
afterAll(() => rm(dir, { recursive: true }));

async function trainers(name: string, manifests: Record<string, unknown>): Promise<string> {
  const root = join(dir, name);
  for (const [folder, content] of Object.entries(manifests)) {
    await mkdir(join(root, folder), { recursive: true });
    await writeFile(
      join(root, folder, "trainer.json"),
      typeof content === "string" ? content : JSON.stringify(content),
    );
  }
  await mkdir(join(root, "sdk"), { recursive: true });
  await writeFile(join(root, "README.md"), "not a trainer");
  return root;
}

describe("the catalogue", () => {
  it("reads every trainer, and turns on what is named", async () => {
    const folder = await trainers("two", { a: manifest("aa"), b: manifest("bb", { enabled: false }) });
    const catalogue = await loadCatalogue(folder);
    expect(catalogue.manifests().map(({ framework, enabled }) => [framework, enabled])).toEqual([
      ["aa", true],
      ["bb", false],
    ]);
    expect(catalogue.model("aa", "small")).toEqual({ ...MODEL, framework: "aa" });
    expect([catalogue.model("aa", "none"), catalogue.manifest("cc")]).toEqual([undefined, undefined]);
    expect(catalogue.models().map(({ framework }) => framework)).toEqual(["aa", "aa"]);
    const both = await loadCatalogue(folder, ["bb", "aa"]);
    expect(both.models().map(({ framework }) => framework)).toEqual(["aa", "aa", "bb", "bb"]);
    await expect(loadCatalogue(folder, ["bb", "zz"])).rejects.toThrow(
      "ENABLED_FRAMEWORKS: there is no framework zz; there are aa, bb",
    );
  });

  it("knows further models from all-models.json", async () => {
    const folder = await trainers("further", { a: manifest("aa"), b: manifest("bb") });
    const list = [
      { ...MODEL, title: "another word for it" },
      { ...MODEL, name: "exotic" },
    ];
    await writeFile(join(folder, "a", "all-models.json"), JSON.stringify(list));
    const catalogue = await loadCatalogue(folder);
    expect(catalogue.model("aa", "exotic")).toMatchObject({ name: "exotic", framework: "aa" });
    expect(catalogue.model("aa", "small")?.title).toBe("Small");
    const named = (all: boolean) => catalogue.models({ framework: "aa", all }).map(({ name }) => name);
    expect([named(false), named(true)]).toEqual([
      ["small", "large"],
      ["small", "large", "exotic"],
    ]);
    await writeFile(join(folder, "a", "all-models.json"), JSON.stringify([{ name: "x" }]));
    await expect(loadCatalogue(folder)).rejects.toThrow(/all-models.json is not a valid list of models[\s\S]*title/);
  });

  it("adds a model's own settings to the framework's, for that model alone", async () => {
    const hyperparameters = { properties: { commit: { type: "string" } }, required: ["commit"] };
    const models = [MODEL, { ...MODEL, name: "cloned", hyperparameters }];
    const catalogue = await loadCatalogue(await trainers("own", { a: manifest("aa", { models }) }));
    const cloned = { ...JOB, model_name: "cloned" };
    expect(catalogue.validateConfig(cloned, { commit: "a" }).errors).toEqual([]);
    expect(catalogue.validateConfig(cloned, { ema: 0.5 }).errors).toEqual([{ pointer: "/commit", detail: "required" }]);
    expect(catalogue.validateConfig(JOB, { commit: "a" }).errors).toEqual([
      { pointer: "/commit", detail: "unknown setting" },
    ]);
    const wrong = [{ ...MODEL, hyperparameters: { properties: { a: { type: "objekt" } } } }];
    await expect(loadCatalogue(await trainers("badly", { a: manifest("aa", { models: wrong }) }))).rejects.toThrow(
      /settings of trainer aa \(small\)/,
    );
  });

  it("checks the settings of each kind by its own schema; a kind without one takes none", async () => {
    const options = { type: "object", additionalProperties: false, properties: { split: { default: "val" } } };
    const kinds = { train: { command: ["x"] }, evaluate: { command: ["x"], options }, export: { command: ["x"] } };
    const catalogue = await loadCatalogue(await trainers("kinds", { a: manifest("aa", { kinds }) }));
    expect(catalogue.validateConfig({ ...JOB, kind: "evaluate" }, {})).toEqual({
      config: { split: "val" },
      errors: [],
    });
    expect(catalogue.validateConfig({ ...JOB, kind: "export" }, { split: "val" }).errors).toHaveLength(1);
    expect(() => catalogue.validateConfig({ ...JOB, kind: "predict" }, {})).toThrow("no jobs of kind predict");
  });

  it.each([
    ["broken JSON", "{", /trainer.json is not a valid trainer manifest/],
    ["a missing field", manifest("aa", { tasks: undefined }), /tasks/],
    ["a wrong schema", manifest("aa", { hyperparameters: { type: "objekt" } }), /settings of trainer aa/],
  ])("refuses %s, saying where", async (name, content, message) => {
    await expect(loadCatalogue(await trainers(name, { a: content }))).rejects.toThrow(message);
  });

  it("refuses two trainers of one name", async () => {
    await expect(loadCatalogue(await trainers("same", { a: manifest("aa"), b: manifest("aa") }))).rejects.toThrow(
      "same framework",
    );
  });

  it("checks a config, applies defaults and leaves what was given alone", async () => {
    const catalogue = await loadCatalogue(await trainers("check", { a: manifest("aa") }));
    const given = { optimizer: "adamw" };
    expect(catalogue.validateConfig(JOB, given)).toEqual({ config: { ema: 0.99, optimizer: "adamw" }, errors: [] });
    expect(given).toEqual({ optimizer: "adamw" });
    const wrong = { ema: 2, optimiser: "sgd", optimizer: "x", crop: { sise: 1 } };
    const { errors } = catalogue.validateConfig(JOB, wrong);
    expect(errors.map(({ pointer }) => pointer).toSorted()).toEqual([
      "/crop/sise",
      "/crop/size",
      "/ema",
      "/optimiser",
      "/optimizer",
    ]);
    expect(errors).toContainEqual({ pointer: "/optimiser", detail: "unknown setting" });
  });
});

describe("models", () => {
  let test: TestGateway;
  let admin: TestUser;
  let user: TestUser;
  beforeAll(async () => {
    const kinds = { train: { command: ["x"] }, evaluate: { command: ["x"], options: HYPERPARAMETERS } };
    const TRAINERS_DIR = await trainers("served", {
      a: manifest("aa", { kinds }),
      b: manifest("bb"),
      c: manifest("cc", { enabled: false, notice: "Its licence asks for much.", license: "AGPL-3.0-only" }),
      d: manifest("dd", { enabled: false, listed: false }),
      e: manifest("ee", { enabled: false, listed: false }),
    });
    await writeFile(join(TRAINERS_DIR, "a", "all-models.json"), JSON.stringify([{ ...MODEL, name: "exotic" }]));
    test = await startTestGateway({ background: false, config: { TRAINERS_DIR, ENABLED_FRAMEWORKS: ["ee"] } });
    admin = await test.user();
    user = await test.user();
  });
  afterAll(() => test.stop());

  it.each([
    [{}, 6],
    [{ framework: "cc" }, 0],
    [{ framework: "ee" }, 2],
    [{ framework: "aa", all: "true" }, 3],
    [{ framework: "aa", all: "true", search: "EXO" }, 1],
    [{ search: "exo" }, 0],
    [{ framework: "aa" }, 2],
    [{ framework: "zz" }, 0],
    [{ task: "object_detection" }, 0],
    [{ tags: "fast, tiny" }, 3],
    [{ tags: "fast,slow" }, 0],
  ])("are found by %j", async (query, count) => {
    const { items, total } = await user.call(listModels, { query: query as never });
    expect([items.length, total]).toEqual([count, count]);
  });

  it("come at most so many at a time; all of them of one framework only", async () => {
    const { items, total } = await user.call(listModels, { query: { limit: 2 } });
    expect([items.length, total]).toEqual([2, 6]);
    await expect(user.call(listModels, { query: { all: "true" } })).rejects.toMatchObject({
      errors: [{ pointer: "/query/framework", detail: "required together with all=true" }],
    });
    await expect(user.call(listModels, { query: { limit: 2001 } })).rejects.toMatchObject({ status: 422 });
  });

  it("are shown with their settings", async () => {
    const params = { framework: "aa", model_name: "small" };
    expect(await user.call(getModel, { params })).toEqual({
      ...MODEL,
      framework: "aa",
      hyperparameters: HYPERPARAMETERS,
      options: { evaluate: HYPERPARAMETERS },
    });
    await expect(user.call(getModel, { params: { ...params, model_name: "none" } })).rejects.toMatchObject({
      status: 404,
    });
    await expect(user.call(getModel, { params: { ...params, framework: "zz" } })).rejects.toMatchObject({
      status: 404,
    });
    await expect(user.call(getModel, { params: { ...params, framework: "Z!" } })).rejects.toMatchObject({
      status: 422,
    });
    await expect(user.call(listModels, { query: { task: "magic" as never } })).rejects.toMatchObject({ status: 422 });
  });

  it("of a framework that is off are not shown, with the reason", async () => {
    const params = { framework: "cc", model_name: "small" };
    await expect(user.call(getModel, { params })).rejects.toMatchObject({
      ...{ status: 404, code: "framework_off" },
      message: "cc is off: Its licence asks for much; an administrator turns it on with ENABLED_FRAMEWORKS=cc",
    });
  });

  it("belong to frameworks, which are listed also when they are off, but not those for tests", async () => {
    const worker = { worker_id: "w1", framework: "aa", host: "h", slots: 1, busy: 0, stopping: false };
    await test.internal.call(workerHeartbeat, { body: worker });
    await test.internal.call(workerHeartbeat, { body: { ...worker, worker_id: "w2", stopping: true } });
    const { items } = await user.call(listFrameworks, {});
    expect(items).toMatchObject([
      { framework: "aa", enabled: true, notice: null, kinds: ["train", "evaluate"], models: 2, workers: 1 },
      { framework: "bb", enabled: true, kinds: ["train"], workers: 0 },
      { framework: "cc", enabled: false, notice: "Its licence asks for much.", license: "AGPL-3.0-only" },
      { framework: "ee", enabled: true },
    ]);
    expect(items[0]?.tasks).toEqual({ image_classification: { primary_metric: "val/top1", direction: "max" } });
  });

  it("cannot be trained while their framework is off, and the notice says why", async () => {
    const world = await startJobWorld({
      background: false,
      config: { TRAINERS_DIR: test.gateway.config.TRAINERS_DIR },
    });
    try {
      const body = world.spec({ framework: "cc", model_name: "small" });
      await expect(world.owner.call(createJob, { body })).rejects.toMatchObject({
        status: 422,
        errors: [{ pointer: "/framework", detail: expect.stringContaining("cc is off: Its licence asks for much") }],
      });
      const exotic = world.spec({ framework: "aa", model_name: "exotic" });
      expect(await world.owner.call(createJob, { body: exotic })).toMatchObject({ model_name: "exotic" });
    } finally {
      await world.stop();
    }
  });

  describe("weights", () => {
    const file = "the weights";
    const sha256 = createHash("sha256").update(file).digest("hex");
    const body = { suffix: ".safetensors", bytes: file.length, sha256 } as const;
    const params = { framework: "aa", model_name: "small" };

    it("are brought by an administrator, with their hash, to where attempts look for them", async () => {
      const { url, headers, uri } = await admin.call(createWeightsUpload, { params, body });
      expect(uri).toBe(`s3://${test.gateway.config.STORAGE_BUCKET}/weights/aa/small.safetensors`);
      expect((await fetch(url, { method: "PUT", body: file, headers })).status).toBe(200);
      const { s3, config } = test.gateway;
      const stored = { Bucket: config.STORAGE_BUCKET, Key: "weights/aa/small.safetensors" };
      expect((await s3.send(new HeadObjectCommand(stored))).Metadata).toEqual({ sha256 });
      const spec = { framework: "aa", model_name: "small", config: { pretrained: true } };
      expect(await findWeights(test.gateway, spec)).toBe(uri);
      const again = await admin.call(createWeightsUpload, { params, body });
      expect(again.uri).toBe(uri);
      await expect(admin.call(createWeightsUpload, { params, body: { ...body, suffix: ".pt" } })).rejects.toMatchObject(
        {
          ...{ status: 409, code: "preferred_weights_exist" },
          message: expect.stringContaining("weights/aa/small.safetensors is in the storage and comes first"),
        },
      );
    });

    it("are taken in the safest format there is", async () => {
      const { s3, config } = test.gateway;
      const put = (Key: string) => s3.send(new PutObjectCommand({ Bucket: config.STORAGE_BUCKET, Key, Body: "x" }));
      const spec = { framework: "aa", model_name: "large", config: { pretrained: true } };
      expect(await findWeights(test.gateway, spec)).toBeNull();
      await put("weights/aa/large.pth");
      expect(await findWeights(test.gateway, spec)).toMatch(/large\.pth$/);
      await put("weights/aa/large.tar");
      expect(await findWeights(test.gateway, spec)).toMatch(/large\.tar$/);
      expect(await findWeights(test.gateway, { ...spec, config: { pretrained: false } })).toBeNull();
    });

    it("are refused from anybody else, for unknown models, and in other formats", async () => {
      await expect(user.call(createWeightsUpload, { params, body })).rejects.toMatchObject({
        status: 403,
        code: "not_admin",
      });
      const unknown = { params: { framework: "aa", model_name: "none" }, body };
      await expect(admin.call(createWeightsUpload, unknown)).rejects.toMatchObject({ status: 404 });
      const nowhere = { params: { framework: "zz", model_name: "small" }, body };
      await expect(admin.call(createWeightsUpload, nowhere)).rejects.toMatchObject({ status: 404 });
      for (const wrong of [{ suffix: ".exe" }, { sha256: "abc" }, { bytes: 0 }]) {
        const bad = { params, body: { ...body, ...wrong } as typeof body };
        await expect(admin.call(createWeightsUpload, bad)).rejects.toMatchObject({ status: 422 });
      }
    });
  });
});
