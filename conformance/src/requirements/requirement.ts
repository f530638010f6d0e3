/** One sentence of the contract that can be seen to hold, or not. */
import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import type { Lab } from "../lab.ts";
import type { MainKind, TrainerFolder } from "../trainer-folder.ts";

export interface Requirement {
  /** Never given to another sentence again. */
  id: number;
  sentence: string;
  /** Where contract.md says so. */
  section: string;
  /** Also asked of a trainer that only trains. */
  core?: boolean;
  /** Makes sense only of a trainer that trains, or only of one that ingests. */
  of?: MainKind;
  /** Asked of every task of a trainer, not of the first alone. */
  everyTask?: boolean;
  /** The one task it is asked of, where conformance.json names one. */
  taskOf?: (trainer: TrainerFolder) => TaskType | undefined;
  /** Why it cannot be asked of this trainer; null when it can. */
  unless?: (lab: Lab) => string | null;
  /** A measured figure that people want to see beside the verdict. */
  figure?: (lab: Lab) => Promise<string>;
  /** What was seen that should not be; nothing when it holds. */
  check: (lab: Lab) => Promise<string[]>;
}

/** Reads well in a table: the sentence of a violation, or nothing. */
export function when(wrong: boolean, sentence: string): string[] {
  return wrong ? [sentence] : [];
}

/** How a trainer ended, for people. */
export function howItEnded(exit: { code: number | null; signal: string | null }): string {
  return exit.signal === null ? `exit ${exit.code}` : `was ended by ${exit.signal}`;
}

/** The end of what it wrote, for people. */
export function tail(text: string): string {
  return text.trim().split("\n").slice(-4).join(" ⏎ ").slice(-700);
}
