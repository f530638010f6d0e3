/** Reads JSON bodies: after the caller is known, and bounded. */
import { AppError } from "@vision-platform/common/app-error";
import type { Operation } from "@vision-platform/contracts/api/operation";
import { json, type Request, type RequestHandler, type Response } from "express";

/** People send little; a worker's batch is up to 500 events of 16 KiB. */
const USER_LIMIT = "1mb";
const SERVICE_LIMIT = "10mb";

const parsers: Record<string, RequestHandler> = {
  user: json({ limit: USER_LIMIT, strict: false }),
  service: json({ limit: SERVICE_LIMIT, strict: false }),
};

/**
 * Parses the JSON body of a request into `request.body` (undefined when there is none).
 * Rejects: 400 malformed, 413 too large, 415 another media type.
 */
export function readBody(op: Operation): (request: Request, response: Response) => Promise<void> {
  if (op.method === "get" || op.method === "delete") return async () => undefined;
  const parser = parsers[op.access === "user" || op.access === "public" ? "user" : "service"] as RequestHandler;
  return (request, response) =>
    new Promise((resolve, reject) => {
      const hasBody =
        request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0;
      if (!hasBody) return resolve();
      if (!request.is("application/json")) {
        return reject(
          new AppError("Send JSON (Content-Type: application/json)", { code: "unsupported_media_type", status: 415 }),
        );
      }
      parser(request, response, (error?: unknown) => (error ? reject(error) : resolve()));
    });
}
