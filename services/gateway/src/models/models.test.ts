import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getModel, listModels } from "@vision-platform/contracts/api/models";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
  it("reads every enabled trainer and nothing else", async () => {
    const catalogue = await loadCatalogue(
      await trainers("two", { a: manifest("aa"), b: manifest("bb", { enabled: false }) }),
    );
    expect(catalogue.manifests().map(({ framework }) => framework)).toEqual(["aa"]);
    expect(catalogue.model("aa", "small")).toEqual({ ...MODEL, framework: "aa" });
    expect([catalogue.model("aa", "none"), catalogue.manifest("bb")]).toEqual([undefined, undefined]);
  });

  it.each([
    ["broken JSON", "{", /trainer.json is not a valid trainer manifest/],
    ["a missing field", manifest("aa", { tasks: undefined }), /tasks/],
    ["a wrong schema", manifest("aa", { hyperparameters: { type: "objekt" } }), /hyperparameters of trainer aa/],
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
    expect(catalogue.validateConfig("aa", given)).toEqual({ config: { ema: 0.99, optimizer: "adamw" }, errors: [] });
    expect(given).toEqual({ optimizer: "adamw" });
    const wrong = { ema: 2, optimiser: "sgd", optimizer: "x", crop: { sise: 1 } };
    const { errors } = catalogue.validateConfig("aa", wrong);
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
  let user: TestUser;
  beforeAll(async () => {
    const TRAINERS_DIR = await trainers("served", { a: manifest("aa"), b: manifest("bb") });
    test = await startTestGateway({ background: false, config: { TRAINERS_DIR } });
    user = await test.user();
  });
  afterAll(() => test.stop());

  it.each([
    [{}, 4],
    [{ framework: "aa" }, 2],
    [{ framework: "zz" }, 0],
    [{ task: "object_detection" }, 0],
    [{ tags: "fast, tiny" }, 2],
    [{ tags: "fast,slow" }, 0],
  ])("are found by %j", async (query, count) => {
    expect((await user.call(listModels, { query: query as never })).items).toHaveLength(count);
  });

  it("are shown with their settings", async () => {
    const params = { framework: "aa", model_name: "small" };
    expect(await user.call(getModel, { params })).toEqual({
      ...MODEL,
      framework: "aa",
      hyperparameters: HYPERPARAMETERS,
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
});
