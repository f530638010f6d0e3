/** How a trainer is started, found again, signalled and waited for; chosen once when the worker starts. */
import type { FailureCode } from "@vision-platform/contracts/failure-codes";

/** What to start. Everything a trainer knows is in `env`: it gets no arguments of ours and inherits nothing. */
export interface LaunchSpec {
  /** Found in the environment of every process the trainer starts; unique for each launch. */
  marker: string;
  command: readonly string[];
  env: Record<string, string>;
  /** The attempt's own folder (mode 700), the trainer's working directory. */
  directory: string;
  /** The file that standard output and standard error are appended to. */
  logFile: string;
  /** Bytes of memory that one process may take; none when undefined. */
  memoryBytes?: number | undefined;
  /** 0 to 19: how far the trainer stands back for other processes. */
  nice: number;
}

/** What a record keeps of a trainer, so that a later worker finds it; pid is null until the launch returned. */
export interface TrainerIdentity {
  marker: string;
  pid: number | null;
  start_time: string | null;
}

/** How a trainer ended. Both null: it ended while no worker of ours was its parent, so nobody can know. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Trainer {
  readonly identity: TrainerIdentity;
}

/**
 * `launch` resolves when the trainer runs and rejects with LaunchError. `adopt` finds what is left of a recorded trainer;
 * null when nothing of it lives. `stop` with SIGTERM asks the trainer itself (its data loaders must live until it has
 * saved); with SIGKILL it ends every process of the attempt, those that left the group included, and resolves when they
 * are gone. `wait` resolves when the trainer itself has ended; it may be called any number of times.
 */
export interface Launcher {
  launch(spec: LaunchSpec): Promise<Trainer>;
  adopt(identity: TrainerIdentity): Promise<Trainer | null>;
  stop(trainer: Trainer, signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  wait(trainer: Trainer): Promise<Exit>;
}

/** The trainer could not be started; the code says whether another attempt can help. */
export class LaunchError extends Error {
  readonly code: Extract<FailureCode, "LAUNCH_FAILED" | "ENVIRONMENT_MISSING" | "BAD_CONFIG">;

  constructor(code: LaunchError["code"], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "LaunchError";
    this.code = code;
  }
}
