/** For metrics that come of one question: all gauges of a scrape share its answer. */

/** Nobody scrapes twice within this time, and one scrape asks all its gauges at once. */
const SAME_SCRAPE_MS = 500;

/** Asks anew when the last question is older than `freshMs`. Answers undefined when `ask` rejects or takes too long. */
export function askedOnce<Answer>(
  ask: () => Promise<Answer>,
  { freshMs = SAME_SCRAPE_MS, answerMs = 4_000 } = {},
): () => Promise<Answer | undefined> {
  let asked = Number.NEGATIVE_INFINITY;
  let last: Promise<Answer | undefined> = Promise.resolve(undefined);
  return () => {
    if (performance.now() - asked > freshMs) {
      asked = performance.now();
      // Prometheus waits for ten seconds, and the other metrics must be told in them.
      const late = new Promise<undefined>((resolve) => setTimeout(resolve, answerMs, undefined).unref());
      last = Promise.race([ask().catch(() => undefined), late]);
    }
    return last;
  };
}
