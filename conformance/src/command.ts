/** `./vp conformance <trainer folder>`: loaded by deploy/laptop when it is typed. */
import { exitCode, report, table } from "./report.ts";
import { REQUIREMENTS } from "./requirements/table.ts";
import { type Asked, testTrainer } from "./runner.ts";
import { Untestable } from "./trainer-folder.ts";

export interface ConformanceOptions {
  json?: boolean;
  core?: boolean;
  only?: string;
  task?: string;
  jobs?: string;
  list?: boolean;
}

/** Prints one line a requirement; gives back the exit code: 0 when all hold, 1 when one does not, 2 when none was asked. */
export async function conformance(folder: string, options: ConformanceOptions): Promise<number> {
  const began = Date.now();
  const say = (text: string) => process.stdout.write(`${text}\n`);
  if (options.list) {
    say(options.json ? JSON.stringify(REQUIREMENTS) : table(REQUIREMENTS));
    return 0;
  }
  try {
    const verdicts = await testTrainer(folder, {
      ...understood(options),
      onVerdict: (verdict) => {
        if (options.json) say(JSON.stringify({ event: "requirement", ...verdict }));
        else if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${verdict.id} ${verdict.result}`);
      },
    });
    if (!options.json && process.stderr.isTTY) process.stderr.write("\r\u001b[K");
    const seconds = (Date.now() - began) / 1000;
    const failed = verdicts.filter(({ result }) => result === "fail").map(({ id }) => id);
    say(options.json ? JSON.stringify({ event: "result", failed, seconds }) : report(verdicts, seconds));
    return exitCode(verdicts);
  } catch (error) {
    if (!(error instanceof Untestable)) throw error;
    if (options.json) say(JSON.stringify({ event: "error", message: error.message }));
    else process.stderr.write(`vp: ${error.message}\n`);
    return 2;
  }
}

function understood({ core, only, task, jobs }: ConformanceOptions): Asked {
  const numbers = (only ?? "")
    .split(",")
    .filter((part) => part.trim() !== "")
    .map(Number);
  if (numbers.some((id) => !Number.isInteger(id))) throw new Untestable(`--only: found ${only}, expected 201,204`);
  const count = Number(jobs ?? 2);
  if (!Number.isInteger(count) || count < 1 || count > 64)
    throw new Untestable(`--jobs: found ${jobs}, expected 1 to 64`);
  return { core: core ?? false, only: numbers, jobs: count, ...(task ? { task } : {}) };
}
