/** Trainers for tests: frameworks whose command is the script trainer. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TrainerManifestInput } from "@vision-platform/contracts/trainer-manifest";

const SCRIPT_TRAINER = join(import.meta.dirname, "script-trainer.ts");

function manifest(framework: string, kind: "train" | "ingest", command: string[]): TrainerManifestInput {
  return {
    contract_version: 1,
    framework,
    title: "Does what a script says",
    license: "Apache-2.0",
    image: `vision-platform-${framework}`,
    enabled: true,
    resources: { gpu: kind === "train" ? "optional" : "none", multi_gpu: true, min_memory_mb: 64, shm_mb: 0 },
    kinds: { [kind]: { command }, ...(kind === "train" ? { evaluate: { command, options: { type: "object" } } } : {}) },
    tasks: { image_classification: { primary_metric: "val/top1", direction: "max" } },
    hyperparameters: { type: "object", additionalProperties: true },
    models: [
      {
        name: "script",
        title: "Script",
        tasks: ["image_classification"],
        params_m: 0,
        input_size: 1,
        license: "Apache-2.0",
        tags: [],
        pretrained: false,
      },
    ],
  };
}

/** Writes `<dir>/scripted/trainer.json` (kinds train and evaluate) and `<dir>/dataset/trainer.json` (kind ingest). */
export function writeTestTrainers(dir: string, command = [process.execPath, SCRIPT_TRAINER]): void {
  for (const [framework, kind] of [
    ["scripted", "train"],
    ["dataset", "ingest"],
  ] as const) {
    mkdirSync(join(dir, framework), { recursive: true });
    writeFileSync(join(dir, framework, "trainer.json"), JSON.stringify(manifest(framework, kind, command)));
  }
}
