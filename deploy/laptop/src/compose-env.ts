import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { ROOT } from "./paths.ts";
import { writePrivately } from "./secrets.ts";

/** What `.env.example` leaves empty and a start cannot do without. */
const SECRETS = /^(?:\w+_(?:PASSWORD|SECRET|SECRET_ACCESS_KEY|ACCESS_KEY_ID)|INTERNAL_TOKEN)$/;
const DOCKER_SOCKET = "/var/run/docker.sock";

export interface WrittenEnv {
  file: string;
  /** False: it was there; only what it lacked was added. */
  fresh: boolean;
  /** Names that got a value now. */
  added: string[];
}

/**
 * Writes the `.env` of docker-compose.yml from `.env.example`, with random secrets and this machine's Docker group; mode
 * 600. A file that is there keeps every value: secrets that a newer version needs are added at its end.
 */
export function writeComposeEnv(file = join(ROOT, ".env"), example = join(ROOT, ".env.example")): WrittenEnv {
  const before = readIfThere(file);
  const known = parseEnv(before ?? "");
  const added: string[] = [];
  const lines = readFileSync(example, "utf8")
    .split("\n")
    .map((line) => {
      const name = /^([A-Z][A-Z0-9_]*)=/.exec(line)?.[1];
      // Of a file that is there everything but a missing secret is its owner's choice.
      if (name === undefined || known[name] || (before !== null && !isNeeded(name))) return line;
      added.push(name);
      return `${name}=${freshValue(name, line.slice(name.length + 1))}`;
    });
  if (before === null) writePrivately(file, lines.join("\n"));
  else if (added.length > 0) writePrivately(file, `${before.trimEnd()}\n${picked(lines, added).join("\n")}\n`);
  return { file, fresh: before === null, added };
}

function isNeeded(name: string): boolean {
  return SECRETS.test(name) || name === "DOCKER_GID";
}

/** The settings that have to be added, each with what explains it. */
function picked(lines: string[], names: string[]): string[] {
  return names.flatMap((name) => {
    const at = lines.findIndex((line) => line.startsWith(`${name}=`));
    let from = at;
    while (/^# (?![A-Z_]+=|---)/.test(lines[from - 1] ?? "")) from -= 1;
    return lines.slice(from, at + 1);
  });
}

function freshValue(name: string, given: string): string {
  // Elsewhere the engine runs in a machine of its own, where the socket is root's.
  if (name === "DOCKER_GID" && process.platform !== "linux") return given;
  if (name === "DOCKER_GID") return String(statSync(DOCKER_SOCKET, { throwIfNoEntry: false })?.gid ?? given);
  return given === "" && SECRETS.test(name) ? randomBytes(24).toString("hex") : given;
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
