/** The places a trainer may write to, and what it leaves in those where it may not. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { ROOT, vpPaths } from "@vision-platform/laptop/paths";

export interface Sandbox {
  path: string;
  home: string;
  tmp: string;
  cache: string;
  stopReasonFile: string;
  stdout: string;
  stderr: string;
  /** The command as it must be started, so that foreign writes can be told from its own. */
  enclose(command: string[]): string[];
  /** Paths outside of HOME, TMPDIR and CACHE_DIR that came into being. */
  foreignWrites(): string[];
  /** What lies in TMPDIR. */
  leftovers(): string[];
  remove(): void;
}

/** Where programs like to leave things. Each job gets empty ones of its own, where the system lets us. */
const SHARED = ["/tmp", "/var/tmp"].filter((path) => existsSync(path));
const OWN_FILES = new Set(["home", "tmp", "cache", "shared", "stop-reason", "stdout", "stderr"]);

const STALE_MS = 24 * 3_600_000;

/** Under .vp and not under /tmp, because /tmp is one of the places that are watched. */
function conformanceFolder(): string {
  const path = join(vpPaths().dir, "conformance");
  mkdirSync(path, { recursive: true });
  // What a run that was killed has left.
  for (const entry of readdirSync(path).map((name) => join(path, name))) {
    const made = statSync(entry, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - made > STALE_MS) rmSync(entry, { recursive: true, force: true });
  }
  return path;
}

/** Folders that are still in use; what is left of them goes when we go, however that is. */
const temporary = new Set<string>();
process.once("exit", () => temporary.forEach(removeFolder));

/** A new folder under .vp/conformance. */
export function makeFolder(name: string): string {
  const path = mkdtempSync(join(conformanceFolder(), `${name}-`));
  temporary.add(path);
  return path;
}

export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  temporary.delete(path);
}

/** `cache` is shared by all runs of one conformance run. */
export function createSandbox(name: string, trainerFolder: string, cache: string): Sandbox {
  const path = makeFolder(name);
  const inside = (entry: string) => join(path, entry);
  const covers = SHARED.map((shared) => coverOf(shared, inside(join("shared", shared)), [ROOT, trainerFolder]));
  for (const folder of ["home", "tmp"]) mkdirSync(inside(folder), { mode: 0o700 });
  for (const { own, windows } of covers) {
    mkdirSync(own, { recursive: true, mode: 0o1777 });
    for (const { at } of windows) mkdirSync(at, { recursive: true });
  }
  const enclosed = canEnclose();
  const before = enclosed ? new Set<string>() : listed(SHARED);
  const ours = listed([trainerFolder]);
  return {
    path,
    home: inside("home"),
    tmp: inside("tmp"),
    cache,
    stopReasonFile: inside("stop-reason"),
    stdout: inside("stdout"),
    stderr: inside("stderr"),
    enclose(command) {
      if (!enclosed) return command;
      const mounts = covers.flatMap(({ shared, own, windows }) => [
        ...windows.map(({ needed, at }) => `mount --bind ${quote(needed)} ${quote(at)} && `),
        `mount --rbind ${quote(own)} ${quote(shared)} && `,
      ]);
      const binds = mounts.join("");
      return [...UNSHARE, "/bin/sh", "-c", `${binds}exec "$@"`, "sh", ...command];
    },
    foreignWrites() {
      const shared = enclosed
        ? covers.flatMap((cover) => strangers(cover).map((entry) => join(cover.shared, entry)))
        : [...listed(SHARED)].filter((entry) => !before.has(entry));
      const beside = readdirSync(path).filter((entry) => !OWN_FILES.has(entry));
      const inFolder = [...listed([trainerFolder])].filter((entry) => !ours.has(entry));
      return [...shared, ...beside.map((entry) => `${entry} in its working directory`), ...inFolder];
    },
    leftovers: () => readdirSync(inside("tmp")),
    remove: () => removeFolder(path),
  };
}

/** An empty folder instead of a shared one, with windows to what a trainer needs of the shared one: this checkout may lie there. */
interface Cover {
  shared: string;
  own: string;
  windows: { needed: string; at: string }[];
}

function coverOf(shared: string, own: string, needed: string[]): Cover {
  const below = needed.filter((path) => path.startsWith(`${shared}/`));
  const outermost = below.filter((path) => !below.some((other) => path.startsWith(`${other}/`)));
  return { shared, own, windows: outermost.map((path) => ({ needed: path, at: join(own, relative(shared, path)) })) };
}

/** What came into being in the cover, its windows left out. */
function strangers({ shared, own, windows }: Cover): string[] {
  const frames = new Set(windows.map(({ needed }) => relative(shared, needed).split("/")[0]));
  return readdirSync(own).filter((entry) => !frames.has(entry));
}

const UNSHARE = ["unshare", "--mount", "--propagation", "private"];
let enclosable: boolean | undefined;

/** Whether this system lets us give a process its own /tmp. */
export function canEnclose(): boolean {
  enclosable ??= spawnSync(UNSHARE[0] ?? "", [...UNSHARE.slice(1), "true"], { stdio: "ignore" }).status === 0;
  return enclosable;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The entries of these folders and of the folders in them; compiled Python is no writing of the trainer's. */
function listed(folders: string[]): Set<string> {
  const found = new Set<string>();
  for (const folder of folders) {
    for (const entry of readdirSync(folder)) {
      const path = join(folder, entry);
      found.add(path);
      if (folder === "/tmp" || folder === "/var/tmp" || entry === "__pycache__" || entry.startsWith(".")) continue;
      if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
        for (const inner of readdirSync(path)) if (inner !== "__pycache__") found.add(join(path, inner));
      }
    }
  }
  // Of the tools that a developer may run in the same folder at the same time.
  return new Set([...found].filter((path) => !/(__pycache__|\.egg-info|\.\w+_cache)$/.test(path)));
}
