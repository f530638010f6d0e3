/** The Socket.IO server, its typed sockets and its rooms. */
import type { Server as HttpServer } from "node:http";
import type { ClientToServer, ServerToClient } from "@vision-platform/contracts/live";
import { Server, type Socket } from "socket.io";
import type { Reader } from "../readers/reader.ts";
import { coalesceWrites } from "./coalesced-writes.ts";

interface SocketData {
  userId: number;
  /** Milliseconds since 1970; null: until revoked. */
  expiresAt: number | null;
  reader: Reader;
}
type ServerEvents = Record<string, never>;
export type LiveServer = Server<ClientToServer, ServerToClient, ServerEvents, SocketData>;
export type LiveSocket = Socket<ClientToServer, ServerToClient, ServerEvents, SocketData>;

export const jobRoom = (jobId: number) => `job:${jobId}`;
export const projectRoom = (projectId: number) => `project:${projectId}`;
/** Readers that are behind on the job: left out of its broadcasts. */
export const heldRoom = (jobId: number) => `held:${jobId}`;

/**
 * Websocket only, so that no sticky sessions are needed; no adapter and no connection state recovery, because the
 * cursor of each reader does what both would do; no compression, which costs memory for every connection.
 */
export function createLiveServer(http: HttpServer): LiveServer {
  const io: LiveServer = new Server(http, {
    transports: ["websocket"],
    serveClient: false,
    perMessageDeflate: false,
    httpCompression: false,
    maxHttpBufferSize: 64 * 1024,
    connectTimeout: 15_000,
    cleanupEmptyChildNamespaces: true,
  });
  // The upgrade request of each connection would otherwise stay in memory as long as the connection.
  io.engine.on("connection", (connection: { request: unknown }) => {
    connection.request = null;
  });
  coalesceWrites(io.engine);
  return io;
}
