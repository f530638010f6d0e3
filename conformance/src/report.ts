/** The verdicts, for people and for programs. */
import type { Requirement } from "./requirements/requirement.ts";
import type { Verdict } from "./runner.ts";

const MARKS = { pass: "✓", fail: "✗", "not asked": "·" } as const;

/** One line a requirement, what was wrong with it below. */
export function line(verdict: Verdict, task: boolean): string {
  const told = verdict.figure ? ` (${verdict.figure})` : "";
  const head = `${MARKS[verdict.result]} ${verdict.id} ${verdict.sentence}${task ? ` [${verdict.task}]` : ""}${told}`;
  if (verdict.result === "pass") return head;
  return [head, ...verdict.reasons.map((reason) => `      ${reason}`)].join("\n");
}

/** All of them by number and, as the very last line, how many hold. */
export function report(verdicts: Verdict[], seconds: number): string {
  const several = new Set(verdicts.map(({ task }) => task)).size > 1;
  const sorted = verdicts.toSorted((one, other) => one.id - other.id);
  const count = (result: Verdict["result"]) => verdicts.filter((each) => each.result === result).length;
  const notAsked = count("not asked") > 0 ? `, ${count("not asked")} not asked` : "";
  const sum = `${count("pass")} passed, ${count("fail")} failed${notAsked} in ${Math.round(seconds)} s`;
  return [...sorted.map((verdict) => line(verdict, several)), "", sum].join("\n");
}

/** The requirements themselves, for `--list`. */
export function table(requirements: readonly Requirement[]): string {
  return requirements
    .toSorted((one, other) => one.id - other.id)
    .map(({ id, core, sentence, section }) => `${id} ${core ? "core" : "    "} ${sentence} (${section})`)
    .join("\n");
}

/** 0 only when all that was asked holds, and something was asked. */
export function exitCode(verdicts: Verdict[]): number {
  const failed = verdicts.some(({ result }) => result === "fail");
  return failed || !verdicts.some(({ result }) => result === "pass") ? 1 : 0;
}
