// Makes ./vp able to run: a Node 24 and the npm packages of the lock file. Plain JavaScript, because the Node that runs
// this may be 20. Safe to interrupt and to repeat: a step that did not finish leaves no mark and is done again.
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join, relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const root = resolve(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname), "../..");
const vp = join(root, ".vp");
const boot = join(vp, "bootstrap");
const json = process.argv.includes("--json");

try {
  refuseForeignMachine();
  mkdirSync(boot, { recursive: true });
  await withLock(join(vp, "bootstrap.lock"), async () => {
    const node = await ensureNode24();
    await ensurePackages(node);
  });
} catch (error) {
  process.stderr.write(`vp: ${error.message}\n`);
  process.exitCode = 1;
}

function refuseForeignMachine() {
  const [major] = process.versions.node.split(".").map(Number);
  if (major < 20)
    throw new Error(
      `Node.js 20 or newer is needed, this is ${process.version}: install a newer one from https://nodejs.org`,
    );
  const here = `${process.platform}-${process.arch}`;
  if (!/^(linux|darwin)-(x64|arm64)$/.test(here)) {
    throw new Error(
      `Vision Platform runs on Linux and macOS with x64 or arm64, not on ${here}: use WSL 2 or a container`,
    );
  }
  if (process.platform === "linux" && !process.report.getReport().header.glibcVersionRuntime) {
    throw new Error(
      "Vision Platform needs a Linux with glibc (Debian, Ubuntu, Fedora, …); this one has another C library",
    );
  }
}

/** The Node to run with: this one if it is new enough, else the pinned one from npm. Returns its path. */
async function ensureNode24() {
  let node = process.execPath;
  if (Number(process.versions.node.split(".")[0]) < 24) {
    const pins = join(root, "deploy/laptop/node24");
    const home = join(vp, "node24");
    const lock = readFileSync(join(pins, "package-lock.json"));
    node = join(home, "node_modules", `node-${process.platform}-${process.arch}`, "bin/node");
    const stamp = join(home, "package-lock.json");
    if (!existsSync(node) || !existsSync(stamp) || !readFileSync(stamp).equals(lock)) {
      const fresh = `${home}.new`;
      rmSync(fresh, { recursive: true, force: true });
      mkdirSync(fresh, { recursive: true });
      for (const name of ["package.json", "package-lock.json"]) cpSync(join(pins, name), join(fresh, name));
      await npm("Fetching Node 24", ["ci", "--ignore-scripts"], fresh, process.execPath);
      rmSync(home, { recursive: true, force: true });
      renameSync(fresh, home);
    }
    if (!existsSync(node)) {
      throw new Error(
        `npm carries no Node 24 for ${process.platform}-${process.arch}: install Node.js 24 from https://nodejs.org`,
      );
    }
  }
  const link = join(boot, "node");
  rmSync(`${link}.new`, { force: true });
  // Relative when it is ours, so that a checkout can be moved.
  symlinkSync(node.startsWith(vp) ? relative(boot, node) : node, `${link}.new`);
  renameSync(`${link}.new`, link);
  return node;
}

/** Installs the packages of package-lock.json unless exactly these are installed. */
async function ensurePackages(node) {
  const lock = join(root, "package-lock.json");
  const stamp = join(boot, "package-lock.json");
  const wanted = readFileSync(lock);
  if (existsSync(join(root, "node_modules")) && existsSync(stamp) && readFileSync(stamp).equals(wanted)) return;
  // Gone while node_modules is in the making: an interrupted install is never taken for a finished one.
  rmSync(stamp, { force: true });
  await npm("Installing the Node packages", ["ci"], root, node);
  writeFileSync(`${stamp}.new`, wanted);
  renameSync(`${stamp}.new`, stamp);
}

/** Runs npm with the given Node and shows that it is at work. */
function npm(title, args, cwd, node) {
  return new Promise((done, fail) => {
    const ended = showWork(title);
    const quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
    // npm starts itself through "env node": the wanted Node has to be the first on PATH.
    // biome-ignore lint/style/noProcessEnv: this runs before any of our packages, with the environment of the person.
    const given = process.env;
    const env = { ...given, PATH: `${dirname(node)}${delimiter}${given.PATH}` };
    const child = spawn("npm", [...args, ...quiet], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let told = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        told = (told + text).slice(-10_000);
      });
    }
    child.once("error", (error) => {
      ended("failed");
      const missing =
        error.code === "ENOENT" ? "npm was not found: install npm (it comes with Node.js)" : error.message;
      fail(new Error(missing));
    });
    child.once("close", (code) => {
      ended(code === 0 ? "done" : "failed");
      if (code === 0) done();
      else fail(new Error(`npm ${args.join(" ")} ended with ${code}:\n${told.trim()}`));
    });
  });
}

/** A line that counts seconds on a terminal, plain lines without one, NDJSON with --json. */
function showWork(title) {
  const began = Date.now();
  const seconds = () => Math.round((Date.now() - began) / 1000);
  const event = (status) => `${JSON.stringify({ event: "step", step: title, status, seconds: seconds() })}\n`;
  if (json) {
    process.stdout.write(event("started"));
    return (status) => process.stdout.write(event(status));
  }
  if (!process.stderr.isTTY) {
    process.stderr.write(`${title} …\n`);
    return (status) => process.stderr.write(`${title}: ${status} in ${seconds()} s\n`);
  }
  const bar = () => {
    const at = seconds() % 16;
    return `${"░".repeat(at)}████${"░".repeat(16 - at)}`;
  };
  const ticking = setInterval(() => process.stderr.write(`\r${bar()} ${title} … ${seconds()} s `), 250);
  return (status) => {
    clearInterval(ticking);
    process.stderr.write(`\r\u001b[K${title}: ${status} in ${seconds()} s\n`);
  };
}

/** Two ./vp at once: the second waits for the first. A holder that died is not waited for. */
async function withLock(file, work) {
  for (let waited = false; ; waited = true) {
    try {
      writeFileSync(file, `${process.pid} ${startOf(process.pid)}`, { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const holder = readIfThere(file);
    const [pid, ...start] = holder.split(" ");
    if (holder !== "" && startOf(Number(pid)) !== start.join(" ")) {
      // Moved away first, so that of two waiters only one removes the dead holder's lock.
      const dead = `${file}.dead-${process.pid}`;
      try {
        renameSync(file, dead);
        rmSync(dead);
      } catch {
        // The other waiter was quicker.
      }
      continue;
    }
    if (!waited) process.stderr.write(`vp: waiting for another ./vp that is installing (process ${pid})\n`);
    await sleep(200);
  }
  try {
    await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/** What tells this process from a later one with the same pid; "" when there is none (or on macOS, "alive"). */
function startOf(pid) {
  try {
    if (process.platform !== "linux") {
      process.kill(pid, 0);
      return "alive";
    }
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return "";
  }
}

function readIfThere(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
