/** Errors of the agent, as its clients hear them. */
import type { Refusal } from "./protocol.ts";

const STATUS: Record<Refusal["code"], number> = {
  bad_request: 400,
  refused: 403,
  not_found: 404,
  conflict: 409,
  image_missing: 409,
  launch_failed: 409,
  engine_away: 503,
  internal: 500,
};

/** Thrown for everything that the agent does not do; `message` names the reason and the fix. */
export class AgentRefusal extends Error {
  readonly code: Refusal["code"];

  constructor(code: Refusal["code"], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "AgentRefusal";
    this.code = code;
  }

  get status(): number {
    return STATUS[this.code];
  }
}

/** The HTTP status of the engine's answer; undefined when it did not answer at all. */
export function engineStatus(error: unknown): number | undefined {
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === "number" ? status : undefined;
}

/** What the engine itself said, without dockerode's frame around it. */
export function engineMessage(error: unknown): string {
  const said = (error as { json?: { message?: unknown } } | null)?.json?.message;
  if (typeof said === "string") return said;
  return error instanceof Error ? error.message : String(error);
}

const AWAY = new Set(["ECONNREFUSED", "ECONNRESET", "ENOENT", "EPIPE", "EACCES"]);

/** True when nobody answered at the engine's socket in time, or the connection broke. */
export function isEngineAway(error: unknown): boolean {
  const { code, cause } = (error ?? {}) as { code?: string; cause?: { name?: string } };
  return AWAY.has(code ?? "") || cause?.name === "TimeoutError";
}

/** Any error as a refusal. */
export function asRefusal(error: unknown): AgentRefusal {
  if (error instanceof AgentRefusal) return error;
  if (isEngineAway(error)) {
    return new AgentRefusal("engine_away", `the Docker engine does not answer: ${engineMessage(error)}`, error);
  }
  if (engineStatus(error) === 404) return new AgentRefusal("not_found", engineMessage(error), error);
  return new AgentRefusal("internal", engineMessage(error), error);
}
