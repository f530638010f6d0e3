/** One table for every way an attempt can fail: its code, whether another attempt can help, and the trainer's exit code. */
import { z } from "zod";

interface FailureRule {
  /** A new attempt may succeed without the user changing anything. */
  retryable: boolean;
  /** The trainer's exit code that means this failure, where there is one (contract.md). */
  exit_code?: number;
  /** What the user can do, in one sentence. */
  hint: string;
}

export const FAILURES = {
  BAD_CONFIG: { retryable: false, exit_code: 2, hint: "Correct the named setting and start a new job." },
  DATASET_INVALID: { retryable: false, exit_code: 3, hint: "See the findings; correct the files and upload again." },
  MODEL_UNAVAILABLE: {
    retryable: false,
    exit_code: 4,
    hint: "Place the weights with ./vp models add-weights or train from scratch; for another job's model see its checkpoints.",
  },
  STORAGE_FAILURE: { retryable: true, exit_code: 5, hint: "Check that the S3 endpoint answers and its disk has room." },
  DIVERGED: { retryable: false, exit_code: 10, hint: "Lower the learning rate, or clip gradients." },
  GPU_OUT_OF_MEMORY: { retryable: false, exit_code: 11, hint: "Lower batch_size or the image size." },
  FRAMEWORK_ERROR: { retryable: false, exit_code: 12, hint: "See the end of the log for the framework's own message." },
  CANCELLED: { retryable: false, exit_code: 20, hint: "The job was cancelled; a final checkpoint was saved." },
  PREEMPTED: { retryable: true, exit_code: 21, hint: "The attempt was interrupted and resumes from its checkpoint." },
  TIME_LIMIT: { retryable: false, exit_code: 22, hint: "Raise the time limit; the last checkpoint was kept." },
  TRAINER_BUG: { retryable: false, exit_code: 70, hint: "This is a defect in the trainer; see the end of the log." },
  OOM_KILLED: {
    retryable: false,
    hint: "The trainer used more memory than allowed: lower batch_size or raise the limit.",
  },
  KILLED: { retryable: true, hint: "The trainer was killed from outside." },
  CRASHED: { retryable: false, hint: "The trainer ended without saying why; see the end of the log." },
  RESULT_MISSING: { retryable: true, hint: "The trainer said it was done, but its artifacts are not in the storage." },
  WORKER_LOST: { retryable: true, hint: "The worker stopped answering; the job goes on from its last checkpoint." },
  LAUNCH_FAILED: { retryable: true, hint: "The trainer could not be started; see the worker's log and ./vp doctor." },
  ENVIRONMENT_MISSING: {
    retryable: false,
    hint: "The framework's Python environment is not installed on the worker: run ./vp doctor.",
  },
  IMAGE_MISSING: {
    retryable: false,
    hint: "The framework's image is not there: run ./vp images build, or set IMAGE_REGISTRY and IMAGE_TAG to where it is.",
  },
  NOT_SCHEDULABLE: {
    retryable: false,
    hint: "No node of the cluster can take the trainer: ask for fewer GPUs or less memory, or add a node that has them.",
  },
} as const satisfies Record<string, FailureRule>;

export const FailureCode = z.enum(Object.keys(FAILURES) as [keyof typeof FAILURES, ...(keyof typeof FAILURES)[]]);
export type FailureCode = z.infer<typeof FailureCode>;

export const Failure = z
  .object({ code: FailureCode, message: z.string().max(4000), hint: z.string().optional() })
  .meta({ id: "Failure", description: "Why an attempt or a job failed." });
export type Failure = z.infer<typeof Failure>;

export const EXIT_SUCCEEDED = 0;

/** The failure a trainer's exit code stands for; undefined for 0 and for codes the contract does not name. */
export function failureOfExitCode(exitCode: number): FailureCode | undefined {
  const entries = Object.entries(FAILURES) as [FailureCode, FailureRule][];
  return entries.find(([, rule]) => rule.exit_code === exitCode)?.[0];
}

export function isRetryable(code: FailureCode): boolean {
  return FAILURES[code].retryable;
}
