/** The way to the Docker engine. */
import Docker from "dockerode";

/** A question that the engine answers from what it knows. */
const QUESTION_LIMIT_MS = 20_000;
/** Making, starting and removing wait for disks. */
const CHANGE_LIMIT_MS = 120_000;

/** Speaks to the engine at this socket and no other: dockerode would follow DOCKER_HOST and its TLS settings by itself. */
export function connectEngine(socketPath: string): Docker {
  return new Docker({ socketPath, host: undefined, port: undefined, protocol: "http" });
}

/** Options of a call that only asks. */
export function question(): { abortSignal: AbortSignal } {
  return { abortSignal: AbortSignal.timeout(QUESTION_LIMIT_MS) };
}

/** Options of a call that changes something; ends early with `signal`. */
export function change(signal?: AbortSignal): { abortSignal: AbortSignal } {
  const limit = AbortSignal.timeout(CHANGE_LIMIT_MS);
  return { abortSignal: signal ? AbortSignal.any([limit, signal]) : limit };
}

/** The answer to a question for which dockerode takes no limit. Rejects with a TimeoutError as its cause when none comes. */
export async function answered<Answer>(asked: Promise<Answer>): Promise<Answer> {
  const { abortSignal } = question();
  const late = new Promise<never>((_, reject) => {
    const cause = () => reject(new Error("no answer in time", { cause: abortSignal.reason }));
    abortSignal.addEventListener("abort", cause, { once: true });
  });
  return await Promise.race([asked, late]);
}
