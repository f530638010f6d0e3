/** Speaks with the docker agent over its socket. */
import { type IncomingMessage, request } from "node:http";
import type { z } from "zod";
import { AgentState, ContainerList, ExitAnswer, LaunchLine, type LaunchRequest, Refusal } from "./agent/protocol.ts";

const ANSWER_LIMIT_MS = 150_000;
/** The agent answers at the latest after 50 s when it is asked for an exit. */
const EXIT_LIMIT_MS = 90_000;

/** The agent, or the engine behind it, said no; `engine_away` also when the agent itself does not answer. */
export class AgentError extends Error {
  readonly code: Refusal["code"];

  constructor({ code, message }: Refusal, cause?: unknown) {
    super(message, { cause });
    this.name = "AgentError";
    this.code = code;
  }
}

type Launched = Extract<LaunchLine, { launched: unknown }>["launched"];
type Waiting = (what: { message: string; pct: number | null }) => void;

export interface AgentClient {
  /** Within `limitMs`. */
  state(limitMs: number): Promise<AgentState>;
  launch(asked: LaunchRequest, signal: AbortSignal, waiting: Waiting): Promise<Launched>;
  callOff(marker: string): Promise<void>;
  list(): Promise<z.infer<typeof ContainerList>["items"]>;
  /** Answers with `ended: false` after a while: ask again. */
  exit(id: string): Promise<ExitAnswer>;
  /** The bytes from `from` on, until the container ends. */
  log(id: string, from: number, signal: AbortSignal): Promise<IncomingMessage>;
  signal(id: string, signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  remove(id: string): Promise<void>;
}

interface Question {
  method: "GET" | "POST" | "DELETE";
  path: string;
  body?: unknown;
  signal: AbortSignal;
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return text;
}

async function refusalOf(response: IncomingMessage): Promise<AgentError> {
  const text = await textOf(response);
  try {
    return new AgentError(Refusal.parse(JSON.parse(text)));
  } catch (cause) {
    return new AgentError({ code: "internal", message: `the docker agent answered ${response.statusCode}` }, cause);
  }
}

/** Rejects with AgentError. */
export function createAgentClient(socketPath: string): AgentClient {
  function unanswered(cause: unknown): AgentError {
    const message = `the docker agent does not answer at ${socketPath} (${(cause as Error).message})`;
    return new AgentError({ code: "engine_away", message }, cause);
  }

  async function open({ method, path, body, signal }: Question): Promise<IncomingMessage> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = text === undefined ? {} : { "content-type": "application/json" };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const asked = request({ socketPath, method, path, headers, signal }, resolve);
      asked.on("error", (error) => reject(unanswered(error)));
      asked.end(text);
    });
    if ((response.statusCode ?? 500) >= 400) throw await refusalOf(response);
    return response;
  }

  async function ask(method: Question["method"], path: string, body?: unknown, limitMs = ANSWER_LIMIT_MS) {
    const response = await open({ method, path, body, signal: AbortSignal.timeout(limitMs) });
    return await textOf(response).catch((error: unknown) => {
      throw unanswered(error);
    });
  }

  return {
    state: async (limitMs) => AgentState.parse(JSON.parse(await ask("GET", "/v1/state", undefined, limitMs))),
    async launch(asked, signal, waiting) {
      const response = await open({ method: "POST", path: "/v1/launches", body: asked, signal });
      let rest = "";
      try {
        for await (const chunk of response.setEncoding("utf8")) {
          const lines = `${rest}${chunk}`.split("\n");
          rest = lines.pop() ?? "";
          for (const text of lines) {
            const line = LaunchLine.parse(JSON.parse(text));
            if ("launched" in line) return line.launched;
            if ("refused" in line) throw new AgentError(line.refused);
            waiting(line.waiting);
          }
        }
      } catch (error) {
        throw error instanceof AgentError ? error : unanswered(error);
      }
      throw unanswered(new Error("it broke off"));
    },
    callOff: async (marker) => void (await ask("DELETE", `/v1/launches/${marker}`)),
    list: async () => ContainerList.parse(JSON.parse(await ask("GET", "/v1/containers"))).items,
    exit: async (id) =>
      ExitAnswer.parse(JSON.parse(await ask("GET", `/v1/containers/${id}/exit`, undefined, EXIT_LIMIT_MS))),
    log: (id, from, signal) => open({ method: "GET", path: `/v1/containers/${id}/log?from=${from}`, signal }),
    signal: async (id, signal) => void (await ask("POST", `/v1/containers/${id}/signal`, { signal })),
    remove: async (id) => void (await ask("DELETE", `/v1/containers/${id}`)),
  };
}
