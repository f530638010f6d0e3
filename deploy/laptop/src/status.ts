import { livingProcesses } from "./end-platform.ts";
import { type VpPaths, vpPaths } from "./paths.ts";
import { isAlive } from "./process-identity.ts";
import { readState } from "./state.ts";
import { offTrainers } from "./trainers.ts";

/** One line of `./vp status`. */
export type PartStatus = {
  name: string;
  state: "ready" | "not ready" | "ended";
  pid: number | null;
  address: string;
  restarts: number;
  note: string;
};

/**
 * What runs; `supervised` is false when processes are left whose supervisor is gone. `off` names the frameworks that have
 * no worker here, and why.
 */
export type PlatformStatus = {
  running: boolean;
  supervised: boolean;
  parts: PartStatus[];
  gateway_url: string | null;
  off: { framework: string; why: string }[];
};

/** Looks at the recorded state and at which of the recorded processes are really alive. */
export function platformStatus(paths: VpPaths = vpPaths()): PlatformStatus {
  const state = readState(paths.state);
  const living = livingProcesses(paths);
  const supervised = state !== null && isAlive(state.supervisor);
  const parts = (state?.processes ?? []).map((part): PartStatus => {
    const alive = living.some((record) => record.name === part.name);
    const note = part.waiting_for ?? (part.last_exit ? `ended before: ${part.last_exit}` : "");
    return {
      name: part.name,
      state: !alive ? "ended" : part.waiting_for === null ? "ready" : "not ready",
      pid: alive ? part.pid : null,
      address: part.address,
      restarts: part.restarts,
      note,
    };
  });
  return {
    running: living.length > 0,
    supervised,
    parts,
    gateway_url: state?.gateway_url ?? null,
    off: offHere(parts),
  };
}

/** What a running platform was started with counts, not what this shell has set. */
function offHere(parts: readonly PartStatus[]): PlatformStatus["off"] {
  const started = parts.flatMap(({ name }) => (name.startsWith("worker-") ? [name.slice("worker-".length)] : []));
  return offTrainers({}).filter(({ framework }) => !started.includes(framework));
}

/** The status as people read it. */
export function statusTable(status: PlatformStatus): string {
  if (!status.running && status.parts.length === 0) return "nothing is running; start with ./vp up";
  const rows = status.parts.map((part) => [
    part.name,
    part.state,
    String(part.pid ?? "-"),
    part.address,
    part.restarts > 0 ? `${part.restarts} restarts` : "",
    part.note,
  ]);
  const all = [["PART", "STATE", "PID", "ADDRESS", "", ""], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  const lines = all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  for (const { framework, why } of status.off) lines.push(`${framework}: ${why}`);
  if (!status.supervised) lines.push("the supervisor is gone: ./vp up starts again, ./vp down ends what is left");
  return lines.join("\n");
}
