/** Every requirement, by number. */
import { checkpointRequirements } from "./checkpoint-requirements.ts";
import { doorRequirements } from "./door-requirements.ts";
import { eventRequirements } from "./event-requirements.ts";
import { ingestRequirements } from "./ingest-requirements.ts";
import { isolationRequirements } from "./isolation-requirements.ts";
import { refusalRequirements } from "./refusal-requirements.ts";
import type { Requirement } from "./requirement.ts";
import { resultRequirements } from "./result-requirements.ts";
import { signalRequirements } from "./signal-requirements.ts";

export const REQUIREMENTS: readonly Requirement[] = [
  ...refusalRequirements,
  ...eventRequirements,
  ...doorRequirements,
  ...checkpointRequirements,
  ...signalRequirements,
  ...isolationRequirements,
  ...resultRequirements,
  ...ingestRequirements,
];
