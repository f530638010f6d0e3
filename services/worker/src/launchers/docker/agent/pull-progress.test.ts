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

it("throws what the engine says went wrong, and passes over what it does not know", () => {
  const progress = createPullProgress();
  progress.take("");
  progress.take(JSON.stringify({ aux: { digest: "sha256:0" } }));
  expect(() => progress.take(JSON.stringify({ error: "no space left on device" }))).toThrow("no space left on device");
});
