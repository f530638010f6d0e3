/** JSON lines on standard output, one shape for all services; secrets are cut out by name. */
import { type Logger, pino } from "pino";

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

/** A logger that names its service on every line; pass `trace_id` and `job_id` as fields. */
export function createLogger(service: string, level: string): Logger {
  return pino({
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: [
        ...SECRET_PATHS,
        ...SECRET_PATHS.map((name) => `*.${name}`),
        "req.headers.authorization",
        "req.headers.cookie",
      ],
      censor: "[secret]",
    },
  });
}
