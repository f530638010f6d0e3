/** The kit on a trainer that ingests: the dataset trainer passes, and each lie about a version is caught. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "@vision-platform/laptop/paths";
import { describe, expect, it } from "vitest";
import { type Asked, testTrainer } from "./runner.ts";
import { makeFolder } from "./runs/sandbox.ts";

const DATASET = join(ROOT, "trainers/dataset");
/** What an ingest could get wrong in its own way; `./vp conformance trainers/dataset` asks the rest, of every task. */
const ASKED = [104, 201, 204, 205, 206, 302, 501, 502, 601, 603, 604, 605, 702, 801, 802, 803, 804, 805, 806, 807];

const LIES = [
  { lie: "manifest_first", asked: [803, 804, 806], fails: [804, 806] },
  { lie: "wrong_hash", asked: [702, 803, 804], fails: [803] },
  { lie: "unpredictable", asked: [803, 805], fails: [805] },
  { lie: "keep_what_was_refused", asked: [801, 802, 803], fails: [801, 802] },
  { lie: "write_elsewhere", asked: [603, 605, 804], fails: [605] },
  { lie: "ignore_stop", asked: [204, 502, 806], fails: [502, 806] },
];

/** A trainer of its own, in the environment of the dataset trainer. */
function liar(): string {
  const folder = makeFolder("liar");
  const manifest = JSON.parse(readFileSync(join(DATASET, "trainer.json"), "utf8"));
  manifest.kinds.ingest.command = ["python", join(DATASET, "tests/lying_ingest.py")];
  writeFileSync(join(folder, "trainer.json"), JSON.stringify(manifest));
  writeFileSync(join(folder, "conformance.json"), readFileSync(join(DATASET, "conformance.json")));
  return folder;
}

async function failures(folder: string, asked: Asked): Promise<{ id: number; reasons: string[] }[]> {
  const task = "image_classification";
  const found = await testTrainer(folder, { task, jobs: 3, core: true, ...asked });
  return found.filter(({ result }) => result === "fail").map(({ id, reasons }) => ({ id, reasons }));
}

describe("the kit on an ingest", { timeout: 180_000 }, () => {
  it("finds nothing against the dataset trainer, and asks it nothing of trainings", async () => {
    expect(await failures(DATASET, { only: ASKED, core: false })).toEqual([]);
    const [about] = await testTrainer(DATASET, { only: [401], task: "object_detection" });
    expect(about).toMatchObject({ result: "not asked", reasons: ["trainer.json declares no train"] });
  });

  it.each(LIES)("catches $lie at $fails, and there alone", async ({ lie, asked, fails }) => {
    const seen = await failures(liar(), { only: asked, grace_s: 6, config: { lie } });
    expect(seen.map(({ id }) => id).sort(), JSON.stringify(seen)).toEqual(fails);
  });
});
