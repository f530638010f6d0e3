import { listJobEvents, listJobLogs, listJobMetrics } from "@vision-platform/contracts/api/jobs";
import { attemptLogKey } from "@vision-platform/contracts/names";
import { afterAll, beforeAll, expect, it } from "vitest";
import { event, type JobWorld, putObject, startJobWorld } from "./job-testing.ts";

let world: JobWorld;
beforeAll(async () => {
  world = await startJobWorld({ background: false });
});
afterAll(() => world?.stop());

const metrics = (src_seq: number, scope: "step" | "epoch", values: Record<string, number | null>) =>
  event(src_seq, "metrics", { scope, split: "train", epoch: 1, step: src_seq, values });

it("answers each metric's curve, thinned to the points asked for, the newest always among them", async () => {
  const attempt = await world.running();
  const params = { job_id: attempt.job_id };
  await attempt.push(
    Array.from({ length: 101 }, (_, index) => metrics(index + 1, "step", { "train/loss": 101 - index })),
  );
  await attempt.push([metrics(102, "epoch", { "val/top1": null, "train/loss": 0.5 })]);
  const all = await world.owner.call(listJobMetrics, { params });
  expect(all.series["train/loss"]).toHaveLength(102);
  expect(all.series["val/top1"]).toMatchObject([{ value: null, scope: "epoch", attempt: 1, epoch: 1, step: 102 }]);
  const few =
    (await world.owner.call(listJobMetrics, { params, query: { max_points: 10, scope: "step" } })).series[
      "train/loss"
    ] ?? [];
  expect(few.length).toBeLessThanOrEqual(10);
  expect(few.at(-1)?.value).toBe(1);
  expect(few.map((point) => point.seq)).toEqual(few.map((point) => point.seq).toSorted((a, b) => a - b));
  const after = await world.owner.call(listJobMetrics, {
    params,
    query: { after: few.at(-1)?.seq as number, name: "train/loss" },
  });
  expect(after.series["train/loss"]).toHaveLength(1);
});

it("answers log lines, and each ended attempt's whole log as a download", async () => {
  const attempt = await world.running();
  const params = { job_id: attempt.job_id };
  await attempt.push([event(1), metrics(2, "step", { a: 1 }), event(3, "log", { level: "error", message: "no" })]);
  await putObject(world, attemptLogKey(attempt.job_id, 1), "the whole log");
  await attempt.finish("interrupted", { log_bytes: 13 });
  const logs = await world.owner.call(listJobLogs, { params });
  expect(logs.items.map((line) => [line.level, line.message])).toEqual([
    ["info", "line 1"],
    ["error", "no"],
  ]);
  expect(logs.files).toMatchObject([{ attempt: 1, bytes: 13 }]);
  expect(await (await fetch(logs.files[0]?.url as string)).text()).toBe("the whole log");
});

it("pages events by cursor and type", async () => {
  const attempt = await world.running();
  const params = { job_id: attempt.job_id };
  await attempt.push(Array.from({ length: 5 }, (_, index) => event(index + 1)));
  const page = await world.owner.call(listJobEvents, { params, query: { after: 4, limit: 2 } });
  expect(page.items.map((item) => item.seq)).toEqual([5, 6]);
  expect(page.head).toBe(9);
  const logs = await world.owner.call(listJobEvents, { params, query: { type: "log" } });
  expect(logs.items).toHaveLength(5);
  await expect(world.owner.call(listJobEvents, { params, query: { after: -1 } })).rejects.toMatchObject({
    status: 422,
  });
  await expect(world.owner.call(listJobEvents, { params, query: { limit: 5000 } })).rejects.toMatchObject({
    status: 422,
  });
});
