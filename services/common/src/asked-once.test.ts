import { expect, it } from "vitest";
import { askedOnce } from "./asked-once.ts";

it("asks once for all who ask at the same time, and anew later", async () => {
  let times = 0;
  const ask = askedOnce(async () => ++times, { freshMs: 50 });
  expect(await Promise.all([ask(), ask(), ask()])).toEqual([1, 1, 1]);
  await new Promise((resolve) => setTimeout(resolve, 80));
  expect(await ask()).toBe(2);
});

it("knows nothing when the answer is an error or does not come", async () => {
  expect(await askedOnce(() => Promise.reject(new Error("away")))()).toBeUndefined();
  expect(await askedOnce(() => new Promise(() => undefined), { answerMs: 20 })()).toBeUndefined();
});
