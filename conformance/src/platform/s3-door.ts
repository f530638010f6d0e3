/** The trainer's own way to S3: passes every request on to the real server, and writes down who asked for what, when. */
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Servers } from "./servers.ts";

export interface S3Request {
  method: string;
  /** Without the bucket, decoded. */
  key: string;
  query: URLSearchParams;
  /** Milliseconds since 1970. */
  began: number;
  ended: number;
  /** 0: the connection broke. */
  status: number;
}

export interface S3Door {
  url: string;
  readonly requests: S3Request[];
  close(): Promise<void>;
}

const CLOSE_LIMIT_MS = 2_000;

/**
 * Opens a door on a free port of that address. Signatures stay valid, because the Host header is passed on as it came.
 * Every write is answered so much later than it was done.
 */
export async function openS3Door(servers: Servers, address: string, writesTakeMs = 0): Promise<S3Door> {
  const target = new URL(servers.s3.endpoint);
  const requests: S3Request[] = [];
  const server = createServer((incoming, answer) => {
    const wait = ["GET", "HEAD"].includes(incoming.method ?? "") ? 0 : writesTakeMs;
    pass(incoming, answer, { target, bucket: servers.s3.bucket, wait }, requests);
  });
  server.keepAliveTimeout = 30_000;
  await new Promise<void>((listening) => server.listen(0, address, listening));
  return {
    url: `http://${address}:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((closed) => {
        setTimeout(() => server.closeAllConnections(), CLOSE_LIMIT_MS).unref();
        server.close(() => closed());
        server.closeIdleConnections();
      }),
  };
}

function pass(
  incoming: IncomingMessage,
  answer: ServerResponse,
  { target, bucket, wait }: { target: URL; bucket: string; wait: number },
  seen: S3Request[],
): void {
  const url = new URL(incoming.url ?? "/", "http://door");
  const path = decodeURIComponent(url.pathname);
  const noted: S3Request = {
    method: incoming.method ?? "",
    key: path.startsWith(`/${bucket}/`) ? path.slice(bucket.length + 2) : path === `/${bucket}` ? "" : path,
    query: url.searchParams,
    began: Date.now(),
    ended: 0,
    status: 0,
  };
  seen.push(noted);
  const headers = { ...incoming.headers };
  // Answered by this server already.
  delete headers.expect;
  const onward = request({
    host: target.hostname,
    port: target.port,
    method: noted.method,
    path: incoming.url,
    headers,
  });
  onward.once("response", async (response) => {
    if (wait > 0) await sleep(wait);
    noted.status = response.statusCode ?? 0;
    answer.writeHead(noted.status, response.headers);
    response.pipe(answer);
    answer.once("close", () => {
      noted.ended = Date.now();
    });
  });
  onward.once("error", () => answer.destroy());
  incoming.once("error", () => onward.destroy());
  incoming.pipe(onward);
}

/** True for a request that changed what lies in the storage. */
export function isWrite(request: S3Request): boolean {
  return ["PUT", "POST", "DELETE"].includes(request.method) && request.status >= 200 && request.status < 300;
}

/** The moment from which an uploaded object can be read: a plain PUT, or the request that completes the parts. */
export function finishedUploads(requests: readonly S3Request[]): S3Request[] {
  return requests.filter((request) => {
    if (!isWrite(request) || request.method === "DELETE") return false;
    if (request.query.has("uploads") || request.query.has("partNumber") || request.query.has("delete")) return false;
    return request.method === "PUT" || request.query.has("uploadId");
  });
}
