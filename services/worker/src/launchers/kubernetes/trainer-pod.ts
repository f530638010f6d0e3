/** One trainer's pod, followed from the Job's creation to its end: state, exit, log. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { V1Pod } from "@kubernetes/client-node";
import type { Logger } from "@vision-platform/common/logger";
import type { AttemptDirectory } from "../../supervision/attempt-directory.ts";
import type { AttemptIds, Exit, Trainer, TrainerIdentity } from "../launcher.ts";
import type { Cluster } from "./cluster.ts";
import { type LogCapture, startLogCapture } from "./log-capture.ts";
import { exitOf, exitOfVanished, hasStarted } from "./pod-state.ts";
import type { PodWatch } from "./pod-watch.ts";

/** A pod that is still there so long after its deletion was due has lost its node. */
const OVERDUE_MS = 60_000;
const LOOK_EVERY_MS = 5_000;

export interface TrainerPod extends Trainer {
  readonly jobName: string;
  /** What was last heard of it; undefined before there is one. */
  pod(): V1Pod | undefined;
  /** Resolves with the next news, or after `limitMs`. */
  news(limitMs: number): Promise<void>;
  /** How the trainer ended, once its log is complete. */
  readonly exit: Promise<Exit>;
  isOver(): boolean;
  /** From now on its end is our doing, and no accident. */
  expectKill(): void;
  /** For a pod that nobody heard of: there is none. */
  vanished(): void;
  /** Ends all listening. */
  close(): void;
}

interface FollowOptions {
  cluster: Cluster;
  watch: PodWatch;
  jobName: string;
  ids: AttemptIds;
  identity: TrainerIdentity;
  directory: AttemptDirectory;
  logLimitBytes: number;
  logger: Logger;
}

function isOverdue(pod: V1Pod): boolean {
  const due = pod.metadata?.deletionTimestamp;
  return due !== undefined && Date.now() > new Date(due).getTime() + OVERDUE_MS;
}

/** Listens until the trainer has ended and its log is read, or until the attempt's folder is taken away. */
export function followTrainerPod(options: FollowOptions): TrainerPod {
  const { cluster, watch, jobName, ids, identity, directory, logger } = options;
  const ended = Promise.withResolvers<Exit>();
  let next = Promise.withResolvers<void>();
  let last: V1Pod | undefined;
  let log: LogCapture | undefined;
  let over = false;
  let gone = false;
  let killing = false;

  function end(exit: Exit): void {
    if (over) return;
    over = true;
    const { taken, ...told } = exit;
    const silent = told.code === null && told.signal === null;
    if (killing) ended.resolve(silent ? { ...told, signal: "SIGKILL" } : told);
    else ended.resolve(exit);
  }

  function hear(pod: V1Pod, isGone: boolean): void {
    last = pod;
    gone = isGone;
    if (hasStarted(pod) && existsSync(dirname(directory.log))) {
      const name = pod.metadata?.name ?? "";
      log ??= startLogCapture({ cluster, pod: name, file: directory.log, limitBytes: options.logLimitBytes, logger });
    }
    const exit = isGone ? exitOfVanished(pod) : exitOf(pod);
    if (exit) end(exit);
    else if (isOverdue(pod)) {
      end({ code: null, signal: null, taken: { by: "host_lost", message: "the pod's node does not answer" } });
    }
    next.resolve();
    next = Promise.withResolvers();
  }

  const unfollow = watch.follow(jobName, hear);
  const look = setInterval(() => {
    if (last && !over && isOverdue(last)) hear(last, gone);
    if (!existsSync(directory.path)) close();
  }, LOOK_EVERY_MS);
  look.unref();

  function close(): void {
    clearInterval(look);
    unfollow();
    log?.close();
  }

  const exit = ended.promise.then(async (how) => {
    await log?.finish(gone || last?.metadata?.deletionTimestamp !== undefined);
    return how;
  });

  return {
    ids,
    identity,
    jobName,
    pod: () => last,
    async news(limitMs) {
      const limit = Promise.withResolvers<void>();
      const timer = setTimeout(limit.resolve, limitMs);
      await Promise.race([next.promise, limit.promise]);
      clearTimeout(timer);
    },
    exit,
    isOver: () => over,
    expectKill: () => {
      killing = true;
    },
    vanished() {
      gone = true;
      end(exitOfVanished(last));
    },
    close,
  };
}
