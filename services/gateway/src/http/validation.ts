/** Checks a request against its operation; every wrong field becomes one entry with a JSON pointer. */
import { invalid } from "@vision-platform/common/app-error";
import type { Operation } from "@vision-platform/contracts/api/operation";
import type { Request } from "express";
import { z } from "zod";

export interface RequestInput {
  params: unknown;
  query: unknown;
  body: unknown;
}
interface FieldError {
  pointer: string;
  detail: string;
}

const NO_BODY = z.strictObject({}).optional();
const NO_QUERY = z.strictObject({});

/** A function that answers with the parsed parts of a request, or throws 422. */
export function requestValidator(op: Operation): (request: Request) => RequestInput {
  const query = op.query ? refuseUnknown(op.query) : NO_QUERY;
  const body = op.body ? refuseUnknown(op.body) : NO_BODY;
  return (request) => {
    const errors: FieldError[] = [];
    const input = {
      params: op.params ? parsePart(op.params, request.params, "/path", errors) : undefined,
      query: parsePart(query, request.query, "/query", errors),
      body: op.method === "get" || op.method === "delete" ? undefined : parsePart(body, request.body, "", errors),
    };
    if (errors.length > 0) throw invalid(errors);
    return input;
  };
}

function parsePart(schema: z.ZodType, value: unknown, prefix: string, errors: FieldError[]): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  errors.push(...parsed.error.issues.flatMap((issue) => fieldErrors(issue, prefix)));
  return undefined;
}

/** RFC 6901. */
export function pointerTo(prefix: string, path: readonly PropertyKey[]): string {
  return prefix + path.map((step) => `/${String(step).replace(/~/g, "~0").replace(/\//g, "~1")}`).join("");
}

function fieldErrors(issue: z.core.$ZodIssue, prefix: string): FieldError[] {
  const pointer = pointerTo(prefix, issue.path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ pointer: pointerTo(pointer, [key]), detail: "unknown field" }));
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    // The variant that is nearest to what was sent tells most.
    const nearest = issue.errors.reduce((best, errors) => (errors.length < best.length ? errors : best));
    return nearest.flatMap((inner) => fieldErrors(inner, pointer));
  }
  return [{ pointer, detail: detailOf(issue) }];
}

function detailOf({ code, message }: z.core.$ZodIssue): string {
  if (code !== "invalid_type") return message;
  if (message.endsWith("received undefined")) return "required";
  return message.endsWith("received NaN") ? "must be a number" : message;
}

/**
 * The same schema, but an object that does not say otherwise refuses fields it does not know:
 * a misspelt setting must not be ignored in silence.
 */
export function refuseUnknown(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodObject) {
    const { def } = schema._zod;
    const shape = Object.fromEntries(
      Object.entries(def.shape).map(([key, field]) => [key, refuseUnknown(field as z.ZodType)]),
    );
    return schema.clone({ ...def, shape, catchall: def.catchall ?? z.never() });
  }
  if (schema instanceof z.ZodArray) {
    const { def } = schema._zod;
    return schema.clone({ ...def, element: refuseUnknown(def.element as z.ZodType) });
  }
  if (schema instanceof z.ZodUnion) {
    const { def } = schema._zod;
    return schema.clone({ ...def, options: def.options.map((option) => refuseUnknown(option as z.ZodType)) });
  }
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault) {
    const { def } = schema._zod;
    return schema.clone({ ...def, innerType: refuseUnknown(def.innerType as z.ZodType) } as never);
  }
  return schema;
}
