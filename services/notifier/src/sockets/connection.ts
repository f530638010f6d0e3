/** What lies below one socket: how much waits to be written, and whether the client takes it. */
import type { JobEvent } from "@vision-platform/contracts/job-events";
import type { Outlet } from "../readers/reader.ts";
import type { LiveSocket } from "./server.ts";
import { heldRoom } from "./server.ts";

/** The parts of Engine.IO and of ws that say how a connection does; they are not in the public types. */
interface Engine {
  writeBuffer: { data?: { length: number } }[];
  transport: Transport;
  close(discard: boolean): void;
}
interface Transport {
  writable: boolean;
  on(event: "ready", listener: () => void): unknown;
  once(event: "ready", listener: () => void): unknown;
  off(event: "ready", listener: () => void): unknown;
  socket?: { bufferedAmount?: number; terminate?: () => void };
}

/** What one client gets beside the events, as the others got it while it was behind. */
export interface Derived {
  onReplayed(socket: LiveSocket, event: JobEvent): void;
  onCaughtUp(socket: LiveSocket, jobId: number): void;
}

export class Connection implements Outlet {
  /** When the operating system last took all that was handed to it (ms since 1970). */
  lastReady = Date.now();
  readonly #socket: LiveSocket;
  readonly #engine: Engine;
  readonly #transport: Transport;
  readonly #derived: Derived;

  constructor(socket: LiveSocket, derived: Derived) {
    this.#socket = socket;
    this.#derived = derived;
    this.#engine = socket.conn as unknown as Engine;
    // Websocket only: the transport never changes.
    this.#transport = this.#engine.transport;
    this.#transport.on("ready", () => (this.lastReady = Date.now()));
  }

  send(event: JobEvent): void {
    this.#socket.emit("job_event", event);
    this.#derived.onReplayed(this.#socket, event);
  }

  hold(jobId: number): void {
    void this.#socket.join(heldRoom(jobId));
  }

  release(jobId: number): void {
    void this.#socket.leave(heldRoom(jobId));
    this.#derived.onCaughtUp(this.#socket, jobId);
  }

  /** Nothing waits in this process, neither packets nor bytes that the client has not made room for. */
  get isDrained(): boolean {
    return this.#transport.writable && this.#engine.writeBuffer.length === 0;
  }

  get isWritable(): boolean {
    return this.#transport.writable;
  }

  get waitingPackets(): number {
    return this.#engine.writeBuffer.length;
  }

  /** Bytes that wait in this process: packets not yet handed on, and what ws has not written yet. */
  get waitingBytes(): number {
    let bytes = this.#transport.socket?.bufferedAmount ?? 0;
    for (const packet of this.#engine.writeBuffer) bytes += packet.data?.length ?? 0;
    return bytes;
  }

  async drained(): Promise<boolean> {
    while (this.#socket.connected && !this.isDrained) await this.#nextReady();
    return this.#socket.connected;
  }

  /** Ends a connection that takes nothing: a polite goodbye would wait in the same full buffer. */
  terminate(): void {
    this.#transport.socket?.terminate?.();
    this.#engine.close(true);
  }

  #nextReady(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#transport.off("ready", done);
        this.#socket.off("disconnect", done);
        resolve();
      };
      this.#transport.once("ready", done);
      this.#socket.once("disconnect", done);
    });
  }
}
