import { unavailable } from "@vision-platform/common/app-error";

/** Longer than any statement or storage call may take: what lasts beyond this hangs on a part that is away. */
const DEADLINE_MS = 25_000;

/** Rejects with 503 when `work` has not settled in time, so that no caller waits for ever. */
export async function withDeadline<Result>(work: Promise<Result>, limitMs = DEADLINE_MS): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable("A part of the platform did not answer in time")), limitMs);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
