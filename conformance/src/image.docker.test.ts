/** The kit on an image: what conforms as a process conforms in its container, and what breaks the contract there is caught. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { testTrainer } from "./runner.ts";

const IMAGE = "vision-platform-stub:0.1.0";
const there = spawnSync("docker", ["image", "inspect", IMAGE], { stdio: "ignore" }).status === 0;
/** Of one training and one that was stopped: events, checkpoints, signals, secrets, foreign writes, artifacts. */
const ASKED = [201, 202, 203, 204, 205, 206, 401, 402, 403, 404, 501, 502, 601, 602, 603, 604, 605, 701, 702, 703];

async function failures(only: number[], lies: string[] = []): Promise<number[]> {
  const config = lies.length > 0 ? { lies } : {};
  const verdicts = await testTrainer(IMAGE, { only, core: true, jobs: 3, grace_s: 10, config });
  return verdicts.filter(({ result }) => result === "fail").map(({ id }) => id);
}

describe.skipIf(!there)("an image", { timeout: 180_000 }, () => {
  it("conforms inside its container, with no network but the platform's doors", async () => {
    expect(await failures(ASKED)).toEqual([]);
  });

  it.each([
    { lie: "child_with_secrets", fails: [602] },
    { lie: "write_outside", fails: [603] },
  ])("is caught at $fails when it does $lie", async ({ lie, fails }) => {
    expect(await failures([601, 602, 603, 604, 605], [lie])).toEqual(fails);
  });
});
