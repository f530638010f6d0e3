import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { JobEvent } from "./job-events.ts";
import {
  CheckpointManifest,
  CheckpointPointer,
  DatasetManifest,
  DatasetSample,
  EvaluationReport,
  ExportReport,
  Prediction,
  TrainerResult,
} from "./storage-manifests.ts";
import { TrainerEvent } from "./trainer-events.ts";
import { TrainerManifest } from "./trainer-manifest.ts";

const SCHEMAS: Record<string, z.ZodType> = {
  TrainerEvent,
  JobEvent,
  DatasetManifest,
  DatasetSample,
  CheckpointManifest,
  CheckpointPointer,
  TrainerResult,
  Prediction,
  EvaluationReport,
  ExportReport,
  TrainerManifest,
};

interface Corpus {
  schema: string;
  valid: { name: string; value: unknown }[];
  invalid: { name: string; value: unknown }[];
}

const folder = resolve(import.meta.dirname, "../fixtures");
const published = JSON.parse(readFileSync(resolve(import.meta.dirname, "../schemas/contract.schema.json"), "utf8"));
const ajv = new Ajv2020({ strict: false });
ajvFormats.default(ajv);
ajv.addSchema(published, "contract");

/** The same corpus is read by trainers/sdk/tests/test_contract_fixtures.py: three validators, one verdict. */
describe.each(readdirSync(folder))("fixtures/%s", (file) => {
  const corpus = JSON.parse(readFileSync(join(folder, file), "utf8")) as Corpus;
  const schema = SCHEMAS[corpus.schema];
  const validate = ajv.getSchema(`contract#/$defs/${corpus.schema}`);
  if (!schema || !validate) throw new Error(`nobody knows ${corpus.schema}`);

  it.each(corpus.valid)("accepts $name", ({ value }) => {
    expect(schema.safeParse(value).error).toBeUndefined();
    expect(validate(value), JSON.stringify(validate.errors)).toBe(true);
  });
  it.each(corpus.invalid)("refuses $name", ({ value }) => {
    expect(schema.safeParse(value).success).toBe(false);
    expect(validate(value)).toBe(false);
  });
});
