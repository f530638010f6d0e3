/** What people type, made into values; whatever is wrong is told before anything is sent. */
import { readFile } from "node:fs/promises";
import { InvalidArgumentError } from "commander";
import { UsageError } from "../output/failure.ts";

/** A job's id: `6`, `#6` or `job:6`. Throws UsageError. */
export function parseJobId(text: string): number {
  const id = Number(/^(?:#|job:|job )?([1-9][0-9]{0,9})$/.exec(text.trim())?.[1]);
  if (Number.isNaN(id)) throw new UsageError(`${text} is no job id; expected a number such as 6`);
  return id;
}

/** For commander options: a whole number from `least`. */
export function wholeNumber(least: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least) throw new InvalidArgumentError(`expected a whole number from ${least}`);
    return value;
  };
}

/** For commander options: a number above zero. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError("expected a number above 0");
  return value;
}

/** For commander options that may be given many times. */
export function gathered(text: string, before: string[] = []): string[] {
  return [...before, text];
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * `--config` of a job: `key=value` (JSON where it is, else text; `a.b=1` sets b inside a) or a JSON file. Later ones win.
 * Throws UsageError.
 */
export async function parseConfig(given: readonly string[]): Promise<Record<string, unknown>> {
  const config: Record<string, unknown> = {};
  for (const entry of given) {
    const equals = entry.indexOf("=");
    if (equals > 0)
      setPath(config, entry.slice(0, equals).split("."), jsonOrText(entry.slice(equals + 1)), `--config ${entry}`);
    else Object.assign(config, await readConfigFile(entry.replace(/^@/, "")));
  }
  return config;
}

function setPath(config: Record<string, unknown>, path: string[], value: unknown, entry: string): void {
  const [first = "", ...rest] = path;
  if (first === "" || first === "__proto__") throw new UsageError(`${entry}: expected key=value`);
  if (rest.length === 0) {
    config[first] = value;
    return;
  }
  const inner = config[first];
  const next =
    typeof inner === "object" && inner !== null && !Array.isArray(inner) ? (inner as Record<string, unknown>) : {};
  config[first] = next;
  setPath(next, rest, value, entry);
}

async function readConfigFile(path: string): Promise<object> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    throw new UsageError(`--config ${path}: expected key=value, or a JSON file that can be read`);
  }
  const parsed = jsonOrText(text);
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new UsageError(`--config ${path}: expected a JSON object`);
  }
  return parsed;
}
