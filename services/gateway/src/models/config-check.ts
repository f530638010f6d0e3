/** A trainer's own JSON Schema (2020-12) as a function: compiled once, run for each job. */
import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import { pointerTo } from "../http/validation.ts";

export interface ConfigCheck {
  /** What was given, with the schema's defaults in the places left out. */
  config: Record<string, unknown>;
  /** Empty when the config is right; pointers begin inside the config ("/ema"). */
  errors: { pointer: string; detail: string }[];
}

function fieldError(error: ErrorObject): { pointer: string; detail: string } {
  const at = error.instancePath;
  switch (error.keyword) {
    case "additionalProperties":
      return { pointer: pointerTo(at, [String(error.params.additionalProperty)]), detail: "unknown setting" };
    case "required":
      return { pointer: pointerTo(at, [String(error.params.missingProperty)]), detail: "required" };
    case "enum":
      return {
        pointer: at,
        detail: `must be one of ${(error.params.allowedValues as unknown[]).map((value) => JSON.stringify(value)).join(", ")}`,
      };
    default:
      return { pointer: at, detail: error.message ?? error.keyword };
  }
}

/** One for all: it compiles the meta-schema once, which takes longer than any of ours. */
const AJV = new Ajv2020({ allErrors: true, useDefaults: true, strict: false, logger: false });

/** Throws when the schema itself is wrong, naming the framework and the kind or model that it belongs to. */
export function compileConfigCheck(
  framework: string,
  owner: string,
  schema: Record<string, unknown>,
): (config: Record<string, unknown>) => ConfigCheck {
  // Nothing refers to it by name, and two trainers may have chosen the same one.
  const { $id: _, ...nameless } = schema;
  try {
    const validate = AJV.compile(nameless);
    return (given) => {
      const config = structuredClone(given);
      return { errors: validate(config) ? [] : (validate.errors ?? []).map(fieldError), config };
    };
  } catch (cause) {
    throw new Error(
      `the settings of trainer ${framework} (${owner}) are not a valid JSON Schema: ${(cause as Error).message}`,
      { cause },
    );
  }
}
