/**
 * Writes what is derived from the contracts, or with --check only compares and fails on a difference:
 * schemas/contract.schema.json, openapi.json and the trainers' Pydantic models (by datamodel-code-generator, when
 * CONTRACTS_PYTHON names the interpreter that has it).
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { trainerContractSchema } from "./json-schema.ts";
import { openApiDocument } from "./openapi.ts";

const here = resolve(import.meta.dirname, "../..");
const SCHEMA = join(here, "schemas/contract.schema.json");
const OPENAPI = join(here, "openapi.json");
const PYDANTIC = resolve(here, "../trainers/sdk/src/vision_trainer/contracts.py");
const PYTHON = resolve(here, "../.vp/envs/contracts/bin/python");

function pydanticModels(schema: string): string {
  if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is not there: ./vp check installs it`);
  const folder = mkdtempSync(join(tmpdir(), "vp-contracts-"));
  try {
    const input = join(folder, "contract.schema.json");
    const output = join(folder, "contracts.py");
    // As text with its exact pattern: a parsed date-time would accept offsets that the contract refuses.
    writeFileSync(input, schema.replaceAll(/"format": "date-time",\s*/g, ""));
    execFileSync(
      PYTHON,
      [
        ...["-m", "datamodel_code_generator", "--input", input, "--input-file-type", "jsonschema", "--output", output],
        ...["--output-model-type", "pydantic_v2.BaseModel", "--target-python-version", "3.11", "--disable-timestamp"],
        ...["--use-standard-collections", "--use-union-operator", "--use-annotated", "--enum-field-as-literal", "all"],
        ...[
          "--use-title-as-name",
          "--use-schema-description",
          "--collapse-root-models",
          "--use-double-quotes",
          "--formatters",
          "black",
          "isort",
        ],
        ...[
          "--custom-file-header",
          '"""Generated from shared-contracts/src; do not edit. `./vp fix` writes it anew."""',
        ],
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    return readFileSync(output, "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const asJson = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
const schema = asJson(trainerContractSchema());
const derived: [path: string, text: string][] = [
  [SCHEMA, schema],
  [OPENAPI, asJson(openApiDocument())],
  [PYDANTIC, pydanticModels(schema)],
];

const stale = derived.filter(([path, text]) => !existsSync(path) || readFileSync(path, "utf8") !== text);
if (process.argv.includes("--check")) {
  for (const [path] of stale) process.stderr.write(`${path} differs from shared-contracts/src: run ./vp fix\n`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const [path, text] of stale) writeFileSync(path, text);
  process.stdout.write(`${stale.length} of ${derived.length} derived files written\n`);
}
