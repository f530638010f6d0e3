/** The kit is proven: what keeps the contract passes, and each way to break it fails the requirement that it breaks. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "@vision-platform/laptop/paths";
import { describe, expect, it } from "vitest";
import { REQUIREMENTS } from "./requirements/table.ts";
import { type Asked, testTrainer } from "./runner.ts";
import { createSlots } from "./runs/slots.ts";
import { readTrainer } from "./trainer.ts";

const STUB = join(ROOT, "trainers/stub");
const SKLEARN = join(ROOT, "examples/sklearn-trainer");
const BARE = join(ROOT, "examples/bare-trainer");
/** A minute of waiting for a storage that is not there: `./vp conformance` does it. */
const PATIENT = 111;
/** The requirements that one training from beginning to end answers. */
const ONE_RUN = [201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 211, 212, 401, 402, 403, 701, 702, 703];

interface Lie {
  lie: string;
  fails: number[];
  asked?: number[];
}

const LIES: Lie[] = [
  { lie: "unknown_level", fails: [201] },
  { lie: "oversized_event", fails: [202] },
  { lie: "not_started", fails: [203] },
  { lie: "skip_a_number", fails: [204] },
  { lie: "repeat_a_number", fails: [204] },
  { lie: "late_event", fails: [205] },
  { lie: "second_terminal", fails: [205] },
  { lie: "upload_after_result", fails: [206] },
  { lie: "flood", fails: [207] },
  { lie: "unknown_metric", fails: [209] },
  // What succeeded keeps quiet about stands in RESULT.json.
  { lie: "no_primary_metric", fails: [210, 702] },
  { lie: "quiet_heart", fails: [211] },
  { lie: "other_learning_rate", fails: [212] },
  { lie: "manifest_first", fails: [402] },
  { lie: "missing_artifact", fails: [701] },
  { lie: "wrong_hash", fails: [701] },
  { lie: "unpredictable", fails: [704], asked: [201, 702, 704] },
  { lie: "ignore_replacement", fails: [305], asked: [201, 305] },
  { lie: "block_on_events", fails: [306], asked: [304, 306] },
  { lie: "start_over", fails: [404], asked: [404, 405, 501, 502] },
  // One run answers both: what was taken from the damaged checkpoint shows in the end.
  { lie: "accept_damage", fails: [404, 405], asked: [404, 405, 501, 502] },
  { lie: "wrong_exit_code", fails: [501, 502], asked: [404, 501, 502, 505] },
  { lie: "ignore_sigterm", fails: [502], asked: [502, 505] },
  { lie: "ignore_sigusr1", fails: [505], asked: [502, 505] },
  { lie: "ignore_time_limit", fails: [506], asked: [201, 506] },
  { lie: "print_secret", fails: [601], asked: [601, 602, 603, 604, 605] },
  { lie: "child_with_secrets", fails: [602], asked: [601, 602, 603, 604, 605] },
  { lie: "write_outside", fails: [603], asked: [601, 602, 603, 604, 605] },
  { lie: "leave_file", fails: [604], asked: [601, 602, 603, 604, 605] },
  { lie: "leave_process", fails: [604], asked: [601, 602, 603, 604, 605] },
];

// All begin at once and share the machine: they mostly wait for a trainer that takes its time.
const gate = createSlots(6);

async function verdicts(folder: string, asked: Asked) {
  const leave = await gate.take();
  try {
    return await testTrainer(folder, { jobs: 3, ...asked });
  } finally {
    leave();
  }
}

async function failures(folder: string, asked: Asked): Promise<{ id: number; reasons: string[] }[]> {
  const found = await verdicts(folder, asked);
  return found.filter(({ result }) => result === "fail").map(({ id, reasons }) => ({ id, reasons }));
}

const quickly = REQUIREMENTS.map(({ id }) => id).filter((id) => id !== PATIENT);
const core = REQUIREMENTS.filter((each) => each.core && each.id !== PATIENT).map(({ id }) => id);
const stub = failures(STUB, { only: quickly });
const bare = failures(BARE, { only: core, core: true });
// The example of the guide: what an author could get wrong. `./vp conformance examples/sklearn-trainer` asks the rest.
const sklearn = failures(SKLEARN, { only: [201, 203, 205, 208, 212, 404, 701, 702], core: true });
const liars = LIES.map((each) => {
  const asked = { only: each.asked ?? ONE_RUN, core: true, grace_s: 3, config: { lies: [each.lie] } };
  return { ...each, found: failures(STUB, asked) };
});
for (const each of [stub, bare, sklearn, ...liars.map(({ found }) => found)]) each.catch(() => undefined);

describe("conformance", { timeout: 180_000 }, () => {
  it("numbers every requirement once, and marks the core", () => {
    const numbers = REQUIREMENTS.map(({ id }) => id);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(core.length).toBeGreaterThan(30);
  });

  it("finds nothing against the stub", async () => {
    expect(await stub).toEqual([]);
  });

  it("finds nothing in the core against a trainer in one file without the kit", async () => {
    expect(await bare).toEqual([]);
  });

  it("finds nothing against the example of the guide, and the guide quotes it as it is", async () => {
    const guide = readFileSync(join(ROOT, "docs/trainer-guide.md"), "utf8");
    const quoted = [...guide.matchAll(/^`(\S+)`\n\n```\w+\n(.*?)\n```$/gms)];
    expect(quoted.map(([, path]) => path)).toContain("src/sklearn_trainer/train.py");
    for (const [, path = "", text] of quoted) {
      expect(text, path).toBe(readFileSync(join(SKLEARN, path), "utf8").trimEnd());
    }
    expect(await sklearn).toEqual([]);
  });

  it.each(liars)("catches $lie at $fails, and there alone", async ({ found, fails }) => {
    const seen = await found;
    expect(seen.map(({ id }) => id).sort(), JSON.stringify(seen)).toEqual(fails);
  });

  it.each([
    ["/nowhere/at/all", "is no folder"],
    ["some/image:1.0", "is no folder here, and no image"],
    [join(ROOT, "trainers/sdk"), "trainer.json is missing"],
    [join(ROOT, "deploy"), "trainer.json is missing"],
  ])("says what is wrong with %s", (folder, words) => {
    expect(() => readTrainer(folder)).toThrow(words);
  });
});
