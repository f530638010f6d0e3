/** JSON lines on standard output, one format for all services and trainers (docs/observability.md); secrets are cut out by name. */
import { type Logger, type LoggerOptions, pino } from "pino";

export type { Logger } from "pino";

const SECRET_PATHS = [
  "password",
  "token",
  "access_token",
  "refresh_token",
  "callback_token",
  "lease_token",
  "key",
  "authorization",
  "secret",
];

/** The words of the contract's log events; trainers write the same ones. */
const LEVELS: Record<string, string> = { trace: "debug", warn: "warning", fatal: "error" };
const MAX_ERROR_CHARACTERS = 8_000;

/** Stack and causes as one text, as a traceback is: what a person reads, and no field of the error beyond it. */
function errorText(error: unknown): string {
  const parts: string[] = [];
  for (let each: unknown = error; each !== undefined && parts.length < 5; ) {
    if (!(each instanceof Error)) {
      parts.push(typeof each === "string" ? each : JSON.stringify(each));
      break;
    }
    // Node's own errors of connections can be without a message.
    const code = "code" in each && typeof each.code === "string" ? ` [${each.code}]` : "";
    parts.push(`${each.stack ?? each.message}${code}`);
    each = each.cause;
  }
  return parts.join("\ncaused by: ").slice(0, MAX_ERROR_CHARACTERS);
}

/** `err` is how code hands an error to the logger; `error`, a text, is how every line shows it. */
function withErrorText(fields: Record<string, unknown>): Record<string, unknown> {
  if (!("err" in fields)) return fields;
  const { err, ...rest } = fields;
  return err === undefined || err === null ? rest : { ...rest, error: errorText(err) };
}

/** Lines are gathered for so long: a write for each costs a busy service a quarter of its time. Lost by kill -9 only. */
const FLUSH_MS = 200;
const BUFFER_BYTES = 8_192;

function bufferedOutput() {
  const output = pino.destination({ dest: 1, sync: false, minLength: BUFFER_BYTES });
  setInterval(() => output.flush(), FLUSH_MS).unref();
  return output;
}

/** A logger that names its service on every line; pass `trace_id` and `job_id` as fields. */
export function createLogger(service: string, level: string): Logger {
  const options: LoggerOptions = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    messageKey: "message",
    formatters: { level: (label) => ({ level: LEVELS[label] ?? label }), log: withErrorText },
    redact: {
      paths: [
        ...SECRET_PATHS,
        ...SECRET_PATHS.map((name) => `*.${name}`),
        "req.headers.authorization",
        "req.headers.cookie",
      ],
      censor: "[secret]",
    },
  };
  return pino(options, bufferedOutput());
}
