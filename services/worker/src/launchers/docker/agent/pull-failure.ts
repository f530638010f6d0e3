/** What a pull that failed means for whoever wants to launch. */
import { AgentRefusal, engineMessage } from "./refusals.ts";

/** The registry wants to know who asks, or knows and says no. Docker Hub says so of what does not exist, too. */
const NOT_ALLOWED = /denied|unauthorized|authentication required|no basic auth credentials|forbidden/i;
/** The registry answered, and has no such image. */
const NOT_THERE = /manifest unknown|name unknown|\bnot found|does not exist/i;

/** The image is not on this engine, which may not look for it elsewhere. */
export function notHere(reference: string): AgentRefusal {
  return missing(reference, "is not on this engine, and IMAGE_PULL is never");
}

/**
 * `image_missing` where the registry itself said no, which it will say again; `launch_failed` for everything that may
 * pass: a registry that is away, breaks off, says nothing or is too busy.
 */
export function pullRefusal(reference: string, error: unknown): AgentRefusal {
  const said = engineMessage(error);
  const why = `cannot be pulled (${said})`;
  if (NOT_ALLOWED.test(said)) {
    const fix = "set IMAGE_PULL_USERNAME and IMAGE_PULL_PASSWORD to an account that may pull it";
    return new AgentRefusal("image_missing", `the image ${reference} ${why}; ${fix}`, error);
  }
  if (NOT_THERE.test(said)) return missing(reference, why, error);
  const fix = "see whether its registry (IMAGE_REGISTRY) answers";
  return new AgentRefusal("launch_failed", `the image ${reference} ${why}; ${fix}`, error);
}

function missing(reference: string, why: string, cause?: unknown): AgentRefusal {
  const framework = /([a-z0-9_]+):[^:]*$/.exec(reference)?.[1] ?? "<framework>";
  const fix = `make it with ./vp images build ${framework}, or set IMAGE_REGISTRY to a registry that has it`;
  return new AgentRefusal("image_missing", `the image ${reference} ${why}; ${fix}`, cause);
}
