import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { endPlatform } from "./end-platform.ts";
import { readRecords } from "./ending.ts";
import { launchPart, type Part, rotateLog } from "./part.ts";
import type { VpPaths } from "./paths.ts";
import type { Platform } from "./platform.ts";
import { ownRecord } from "./process-identity.ts";
import { waitUntilReady } from "./readiness.ts";
import { type PartState, writeState } from "./state.ts";

/** A part that ran this long counts as recovered: its next failure is restarted quickly again. */
const RECOVERED_MS = 30_000;
const LONGEST_BACKOFF_MS = 10_000;
/** Exit code of a service whose settings are wrong: starting it again cannot help. */
const WRONG_SETTINGS = 78;

type Watched = { part: Part; child: ChildProcess | null; state: PartState; startedAt: number; failures: number };

/** What the services need to be there. */
function partsBefore({ backing, agent }: Platform): Part[] {
  return agent === null ? backing : [...backing, agent];
}

/**
 * Keeps the processes of a platform running: starts them in order, restarts with growing pauses what dies, and notes
 * in `.vp/state.json` who runs and what is not ready.
 */
export class Supervisor {
  readonly #platform: Platform;
  readonly #paths: VpPaths;
  readonly #watched: Watched[];
  readonly #startedAt = new Date().toISOString();
  #stopping: Promise<string[]> | null = null;
  #written = "";

  constructor(platform: Platform, paths: VpPaths) {
    this.#platform = platform;
    this.#paths = paths;
    this.#watched = [...partsBefore(platform), ...platform.services].map((part) => ({
      part,
      child: null,
      startedAt: 0,
      failures: 0,
      state: {
        name: part.name,
        address: part.address,
        pid: null,
        start_time: "",
        waiting_for: "it is not started yet",
        restarts: 0,
        last_exit: null,
      },
    }));
  }

  /** Starts everything; resolves when the services have been started, ready or not. */
  async start(): Promise<void> {
    for (const { part } of this.#watched) rotateLog(this.#paths.logs, part.name);
    this.#note();
    for (const watched of this.#watched) void this.#watchReadiness(watched);
    const first = partsBefore(this.#platform);
    for (const watched of this.#watched.filter(({ part }) => first.includes(part))) this.#launch(watched);
    // A server that never gets ready is told by state.json; the services then say so themselves in /ready.
    await waitUntilReady(first, 60_000).catch(() => undefined);
    for (const watched of this.#watched.filter(({ part }) => !first.includes(part))) this.#launch(watched);
  }

  /** Ends everything, trainers included; resolves with the names that had to be killed. */
  stop(): Promise<string[]> {
    this.#stopping ??= endPlatform(this.#paths);
    return this.#stopping;
  }

  #launch(watched: Watched): void {
    if (this.#stopping) return;
    const child = launchPart(watched.part, this.#paths);
    watched.child = child;
    watched.startedAt = Date.now();
    watched.state.pid = child.pid ?? null;
    child.once("error", (error) => this.#ended(watched, `it cannot be started: ${error.message}`, null));
    child.once("exit", (code, signal) => this.#ended(watched, signal ?? `exit code ${code}`, code));
  }

  #ended(watched: Watched, how: string, code: number | null): void {
    watched.child = null;
    Object.assign(watched.state, { pid: null, start_time: "", last_exit: how });
    if (this.#stopping) return;
    if (code === WRONG_SETTINGS) {
      watched.state.waiting_for = "its settings are wrong, see its log; it is not started again";
      this.#note();
      return;
    }
    watched.failures = Date.now() - watched.startedAt > RECOVERED_MS ? 0 : watched.failures + 1;
    watched.state.restarts += 1;
    watched.state.waiting_for = `it ended (${how}) and is started again`;
    this.#note();
    const pause = Math.min(LONGEST_BACKOFF_MS, 125 * 2 ** watched.failures);
    setTimeout(() => this.#launch(watched), pause);
  }

  /** Asks a part whether it is ready: often until it is, then every two seconds. A slow answer delays no other part. */
  async #watchReadiness(watched: Watched): Promise<void> {
    while (!this.#stopping) {
      const asked = watched.child;
      if (asked) {
        const reason = await watched.part.ready();
        if (watched.child === asked && !this.#stopping) watched.state.waiting_for = reason;
        this.#note();
      }
      await sleep(watched.state.waiting_for === null ? 2_000 : 50);
    }
  }

  /** Writes state.json when something in it changed. */
  #note(): void {
    if (this.#stopping) return;
    const records = new Map(readRecords(this.#paths.run).map(({ record }) => [record.name, record]));
    for (const { state } of this.#watched) {
      const record = records.get(state.name);
      if (record && record.pid === state.pid) state.start_time = record.start_time;
    }
    const processes = this.#watched.map(({ state }) => state);
    const told = JSON.stringify(processes);
    if (told === this.#written) return;
    this.#written = told;
    writeState(this.#paths.state, {
      gateway_url: this.#platform.gatewayUrl,
      notifier_url: this.#platform.notifierUrl,
      started_at: this.#startedAt,
      supervisor: ownRecord("supervisor"),
      processes,
    });
  }
}
