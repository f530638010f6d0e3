/** How a trainer is started, found again, signalled and waited for; chosen once when the worker starts. */
import type { LauncherName } from "@vision-platform/contracts/api/workers";
import type { FailureCode } from "@vision-platform/contracts/failure-codes";
import type { JobKind } from "@vision-platform/contracts/job-state";
import type { AttemptDirectory } from "../supervision/attempt-directory.ts";

/** Which attempt of which job: containers and Kubernetes Jobs are named and labelled after it. */
export interface AttemptIds {
  job_id: number;
  attempt: number;
}

/** What to start. Everything a trainer knows is in `env`: it gets no arguments of ours and inherits nothing. */
export interface LaunchSpec extends AttemptIds {
  framework: string;
  kind: JobKind;
  trace_id: string;
  /** Unique for each launch; every process the trainer starts carries it (environment, container or pod label). */
  marker: string;
  /** As trainer.json says it: `python` as the first word is the trainer's own environment. */
  command: readonly string[];
  /** Complete reference with a tag, such as `vision-platform-timm:0.1.0`; used where trainers run in containers. */
  image: string;
  env: Record<string, string>;
  directory: AttemptDirectory;
  /** Bytes of memory the trainer may take; none when undefined. */
  memoryBytes?: number | undefined;
  /** Processor cores the trainer may take; all when undefined. */
  cpus?: number | undefined;
  /** Bytes of /dev/shm, where trainers run in containers. */
  shmBytes: number;
  /** The GPUs it gets, by index or UUID as NVIDIA's runtime takes them; empty: none. */
  gpus: readonly string[];
  /** May it reach more than storage, event door and gateway? */
  allowNetwork: boolean;
  /** Seconds after which whoever runs it may end it, when nobody else did. */
  maxRuntimeS: number;
  /** 0 to 19: how far the trainer stands back for other processes. */
  nice: number;
  /** What people should know while it does not run yet: an image is pulled, a pod finds no node. `pct` 0 to 100. */
  onWaiting: (what: { message: string; pct: number | null }) => void;
  /** What people should know of a trainer that runs all the same. */
  onWarning: (warning: { code: string; message: string }) => void;
  /** Aborted when the attempt is cancelled or lost before it runs: the launch ends and leaves nothing. */
  signal: AbortSignal;
}

/** What a record keeps of a trainer, so that a later worker finds it. */
export interface TrainerIdentity {
  marker: string;
  /** The launcher's own word for it (pid and start time, container id, Job uid); null until the launch returned. */
  handle: string | null;
}

/** How a trainer ended. Both null: nobody can know any more. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Whoever ran it says that memory ran out; undefined where nobody says. */
  outOfMemory?: boolean;
  /** It did not end by itself: removed by hand, evicted by the cluster, its node or engine gone. */
  taken?: { by: "removed" | "evicted" | "host_lost" | "deadline"; message: string };
}

export interface Trainer {
  readonly ids: AttemptIds;
  readonly identity: TrainerIdentity;
}

/**
 * `launch` resolves when the trainer runs and rejects with LaunchError. `stop` with SIGTERM asks the trainer itself (its
 * data loaders must live until it has saved); with SIGKILL it ends every process of the attempt, those that left the
 * group included, and resolves when they are gone. `wait` resolves when the trainer itself has ended and all it wrote is
 * in `directory.log`; it may be called any number of times.
 */
export interface Launcher {
  readonly name: LauncherName;
  /** Trainers outlive their worker, and the next worker takes them over instead of ending them. */
  readonly outlivesWorker: boolean;
  /** PATH, HOME, TMPDIR, CACHE_DIR, STOP_REASON_FILE …: the surroundings as the trainer sees them. */
  surroundings(directory: AttemptDirectory): Record<string, string>;
  /** The machine-visible trainers of this worker's framework, whoever launched them; empty where none outlives a worker. */
  find(): Promise<(AttemptIds & { identity: TrainerIdentity })[]>;
  launch(spec: LaunchSpec): Promise<Trainer>;
  /**
   * Finds what is left of a trainer, an ended one whose exit can still be told included; null when nothing is left.
   * `directory.log` holds again everything it wrote, from its first byte.
   */
  adopt(ids: AttemptIds, identity: TrainerIdentity, directory: AttemptDirectory): Promise<Trainer | null>;
  stop(trainer: Trainer, signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  wait(trainer: Trainer): Promise<Exit>;
  /** The attempt is over and reported: takes away what the launch made (container, Job, Secret, volumes). */
  remove(trainer: Trainer): Promise<void>;
}

/** The trainer could not be started; the code says whether another attempt can help. */
export class LaunchError extends Error {
  readonly code: Extract<
    FailureCode,
    "LAUNCH_FAILED" | "ENVIRONMENT_MISSING" | "IMAGE_MISSING" | "NOT_SCHEDULABLE" | "BAD_CONFIG"
  >;

  constructor(code: LaunchError["code"], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "LaunchError";
    this.code = code;
  }
}
