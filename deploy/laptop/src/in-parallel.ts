/** Does `work` for every item, `limit` at once. Rejects with the first failure, after what was begun has ended. */
export async function inParallel<Item>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  let failed = false;
  const lanes = Array.from({ length: Math.min(limit, items.length) }, async () => {
    for (const item of rest) {
      if (failed) return;
      try {
        await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  });
  const failure = (await Promise.allSettled(lanes)).find((lane) => lane.status === "rejected");
  if (failure) throw failure.reason;
}
