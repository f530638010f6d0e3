/** An HTTP operation, declared once: the gateway's router, its OpenAPI document and every client are made from it. */
import { z } from "zod";

/**
 * Who may call. `public`: anybody. `user`: a person's access token or API key. `internal`: a service of the platform
 * (INTERNAL_TOKEN). `attempt`: a trainer with the token of its job and attempt.
 */
export type Access = "public" | "user" | "internal" | "attempt";
export type Method = "get" | "post" | "patch" | "delete";

export interface Operation {
  id: string;
  method: Method;
  /** Path with parameters in braces: `/api/v1/projects/{project_id}`. */
  path: string;
  access: Access;
  summary: string;
  tag: string;
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodType;
  /** Status and body of the success; a null body is an empty answer (204). */
  status: number;
  response: z.ZodType | null;
  /** `Idempotency-Key` is honoured: same key and body, the same answer. */
  idempotent?: boolean;
  /** The statuses a problem may come with, beside 401, 422 and 500. */
  problems?: readonly number[];
  /** The answer is a stream of server-sent events. */
  stream?: boolean;
}

type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;
type Unparsed<Schema> = Schema extends z.ZodType ? z.input<Schema> : undefined;
/** What the server's handler receives. */
export type ParamsOf<Op extends Operation> = Parsed<Op["params"]>;
export type QueryOf<Op extends Operation> = Parsed<Op["query"]>;
export type BodyOf<Op extends Operation> = Parsed<Op["body"]>;
/** What a client may send: defaults may be left out. */
export type BodyInput<Op extends Operation> = Unparsed<Op["body"]>;
export type QueryInput<Op extends Operation> = Unparsed<Op["query"]>;
export type ParamsInput<Op extends Operation> = Unparsed<Op["params"]>;
export type ResponseOf<Op extends Operation> = Op["response"] extends z.ZodType ? z.output<Op["response"]> : undefined;

export function operation<const Op extends Operation>(op: Op): Op {
  return op;
}

/** A path or query parameter that must be a whole number from 1. */
export const Id = z.coerce.number().int().min(1).max(2_147_483_647);
/** The same inside a JSON body, where "5" and true are no numbers. */
export const IdNumber = z.int().min(1).max(2_147_483_647);
export const Timestamp = z.iso.datetime();

/** Page of a list: pass `next_cursor` back as `cursor`; null on the last page. */
export const PageQuery = z.object({
  cursor: z.string().max(2000).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), next_cursor: z.string().nullable() });
}

/** RFC 9457 problem body. */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    code: z.string(),
    trace_id: z.string(),
    retryable: z.boolean(),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  })
  .meta({ id: "Problem", description: "An error (RFC 9457); `errors` names each wrong field by JSON pointer." });
export type Problem = z.infer<typeof Problem>;
