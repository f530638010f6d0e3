import { expect, it } from "vitest";
import { createPullProgress } from "./pull-progress.ts";

const line = (id: string, status: string, current?: number, total?: number) =>
  JSON.stringify({ id, status, progressDetail: current === undefined ? {} : { current, total } });

it("knows nothing before the first size", () => {
  const progress = createPullProgress();
  progress.take(JSON.stringify({ status: "Pulling from team/vision-platform-timm", id: "0.1.0" }));
  progress.take(line("a", "Pulling fs layer"));
  expect(progress.pct()).toBeNull();
});

it("counts the bytes that came over the network, and not their unpacking", () => {
  const progress = createPullProgress();
  progress.take(line("a", "Downloading", 50, 100));
  progress.take(line("b", "Downloading", 0, 300));
  expect(progress.pct()).toBe(12);
  progress.take(line("a", "Download complete"));
  progress.take(line("a", "Extracting", 1, 100));
  expect(progress.pct()).toBe(25);
  progress.take(line("b", "Pull complete"));
  expect(progress.pct()).toBe(100);
});

it("knows nothing while a layer has no size yet, however small the others are", () => {
  const progress = createPullProgress();
  for (const id of ["a", "b", "c"]) progress.take(line(id, "Pulling fs layer"));
  progress.take(line("a", "Already exists"));
  progress.take(line("b", "Downloading", 10, 10));
  progress.take(line("b", "Pull complete"));
  expect(progress.pct()).toBeNull();
  progress.take(line("c", "Downloading", 0, 990));
  expect(progress.pct()).toBe(1);
});

it("does not wait for the size of what exists already, or came without a word about its size", () => {
  const progress = createPullProgress();
  for (const id of ["a", "b", "c"]) progress.take(line(id, "Pulling fs layer"));
  progress.take(line("a", "Already exists"));
  progress.take(line("b", "Download complete"));
  progress.take(line("c", "Downloading", 50, 100));
  expect(progress.pct()).toBe(50);
});

it("never goes back when a layer begins again, and is 100 only when all are complete", () => {
  const progress = createPullProgress();
  progress.take(line("a", "Downloading", 100, 100));
  expect(progress.pct()).toBe(99);
  progress.take(line("a", "Downloading", 0, 100));
  expect(progress.pct()).toBe(99);
  progress.take(line("a", "Download complete"));
  expect(progress.pct()).toBe(100);
});

it("throws what the engine says went wrong, and passes over what it does not know", () => {
  const progress = createPullProgress();
  progress.take("");
  progress.take(JSON.stringify({ aux: { digest: "sha256:0" } }));
  expect(() => progress.take(JSON.stringify({ error: "no space left on device" }))).toThrow("no space left on device");
});
