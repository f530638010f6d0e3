import type { Command } from "commander";
import { vpPaths } from "./paths.ts";

/** Adds the platform's own commands (up, down, …) to the program of ./vp. What a command needs is loaded when it runs. */
export function registerPlatformCommands(program: Command): void {
  registerLifecycle(program);
  registerLogs(program);
  registerWork(program);
  registerSafety(program);
}

type Options = {
  json?: boolean;
  foreground?: boolean;
  follow?: boolean;
  lines?: string;
  allModels?: boolean;
  core?: boolean;
  list?: boolean;
  only?: string;
  task?: string;
  jobs?: string;
  compose?: boolean;
  envFile?: string;
  keep?: string;
  at?: string;
  replace?: boolean;
  variant?: string;
  push?: boolean;
  pull?: boolean;
  output?: string;
  railway?: boolean;
  kubernetes?: boolean;
  frameworks?: string;
  checkout?: string;
  draining?: string;
  brief?: boolean;
};

function registerLifecycle(program: Command): void {
  add(program, "up", "start the platform on this machine, and wait until it is ready")
    .option("--foreground", "stay, and end everything on Ctrl-C")
    .action(
      guarded(async (_args, { json = false, foreground = false }) => {
        const { stayInForeground, up } = await import("./up.ts");
        const { progressMode } = await import("./progress.ts");
        const state = await up(progressMode(json));
        const { gateway_url, notifier_url } = state;
        if (json) say(JSON.stringify({ event: "up", gateway_url, notifier_url }));
        else say(upText(gateway_url, notifier_url, foreground));
        if (foreground) await stayInForeground();
        return 0;
      }),
    );
  add(program, "down", "end everything that ./vp up started").action(
    guarded(async (_args, { json = false }) => {
      const { down } = await import("./down.ts");
      const report = await down();
      if (json) say(JSON.stringify({ event: "down", ...report }));
      else if (report.ended.length === 0) say("nothing was running");
      else {
        say(`ended ${report.ended.join(", ")} in ${report.seconds} s`);
        if (report.killed.length > 0) say(`did not end by itself and was killed: ${report.killed.join(", ")}`);
        if (report.left.length > 0) say(`still running: ${report.left.join(", ")}`);
      }
      return report.left.length === 0 ? 0 : 1;
    }),
  );
  add(program, "status", "what runs, where, and what is not ready").action(
    guarded(async (_args, { json = false }) => {
      const { platformStatus, statusTable } = await import("./status.ts");
      const status = platformStatus();
      say(json ? JSON.stringify({ event: "status", ...status }) : statusTable(status));
      return status.supervised && status.parts.every((part) => part.state === "ready") ? 0 : 1;
    }),
  );
}

function registerLogs(program: Command): void {
  add(program, "logs [service]", "the log of one service, or of all")
    .option("-f, --follow", "go on as lines are added")
    .option("-n, --lines <count>", "how many of the last lines", "50")
    .action(
      guarded(async ([service], { json = false, follow = false, lines = "50" }) => {
        const { followLogs, lastLines, logFile, logNames } = await import("./logs.ts");
        const { logs } = vpPaths();
        const known = logNames(logs);
        if (service && !known.includes(service)) {
          throw new Error(
            `there is no log of "${service}"; there are: ${known.join(", ") || "none, start with ./vp up"}`,
          );
        }
        const names = service ? [service] : known;
        const print = (name: string, line: string) =>
          say(json ? JSON.stringify({ event: "log", service: name, line }) : service ? line : `${name} | ${line}`);
        for (const name of names) {
          const text = lastLines(logFile(logs, name), Number(lines));
          for (const line of text === "" ? [] : text.split("\n")) print(name, line);
        }
        const named = new Map(names.map((name) => [logFile(logs, name), name]));
        if (follow) await followLogs([...named.keys()], (file, line) => print(named.get(file) ?? "", line));
        return 0;
      }),
    );
}

function registerWork(program: Command): void {
  add(program, "doctor", "what is missing on this machine, and the command that repairs it").action(
    guarded(async (_args, { json = false }) => (await import("./doctor.ts")).doctor(json)),
  );
  add(program, "demo", "train a real model on real images, from the upload to the result").action(
    guarded(async (_args, { json = false }) => (await import("./demo.ts")).demo(json)),
  );
  add(program, "test [path]", "every check and every test, or one test file")
    .option("--all-models", "only this: every catalogue model builds, and does a step forward and backward")
    .option("--compose", "only this: docker-compose.yml from a clean clone, with an upgrade and a restored backup")
    .option("--railway", "only this: the Railway shape, in containers, with a deployment in the middle")
    .option("--kubernetes", "only this: trainers as Jobs and the Helm chart, on a local cluster")
    .action(
      guarded(
        async ([path], { json = false, allModels = false, railway = false, kubernetes = false, compose = false }) => {
          if (compose) return (await import("./compose-scenario.ts")).composeScenario(json);
          if (railway) return (await import("./railway.ts")).railway({ json });
          if (kubernetes) return (await import("./test-kubernetes.ts")).testKubernetes(json);
          return (await import("./test-run.ts")).testRun({ path: path ?? null, allModels }, json);
        },
      ),
    );
  add(program, "railway-simulation", "the Railway shape in containers on this machine, with the whole scenario")
    .option("--frameworks <names>", "which train, separated by commas; default: all")
    .option("--variant <name>", "cuda (also for CPUs), or cpu, as Railway builds them")
    .option("--checkout <image>", "build nothing: mount this checkout into containers of an image")
    .option("--draining <seconds>", "how long old workers have, at least 30; default: 120")
    .option("--brief", "trainings and the deployment alone")
    .action(guarded(async (_args, options) => (await import("./railway.ts")).railway(options)));
  add(program, "check", "types, lint, format, contracts, unused code; for Python too").action(
    guarded(async (_args, { json = false }) => (await import("./check.ts")).check(json)),
  );
  add(program, "fix", "repair format, imports and generated files").action(
    guarded(async (_args, { json = false }) => (await import("./check.ts")).fix(json)),
  );
  add(
    program,
    "images <action> [names...]",
    "container images: build, test, report, sbom, or plan (what build would do)",
  )
    .option("--variant <name>", "cuda (also for CPUs), or cpu: without NVIDIA's libraries", "cuda")
    .option("--push", "send what is built to IMAGE_REGISTRY")
    .option("--pull", "report: also what a pull weighs, which takes minutes the first time")
    .option("--output <path>", "where report or sbom write; default: the terminal, or .vp/sbom")
    .action(
      guarded(async ([action = "", ...names], options) =>
        (await import("./images.ts")).images(action, names.flat(), options),
      ),
    );
  add(program, "conformance [folder]", "whether a trainer keeps the contract, requirement by requirement")
    .option("--core", "only what is asked of a trainer that only trains")
    .option("--only <numbers>", "these requirements, such as 201,404")
    .option("--list", "the requirements, by number")
    .option("--task <task>", "this task instead of all that conformance.json names")
    .option("--jobs <count>", "trainers at once", "2")
    .action(
      guarded(async ([folder = ""], options) => {
        const { conformance } = await import("./conformance.ts");
        return conformance(folder, options);
      }),
    );
  add(program, "bench [name]", "measure, and print the limit beside each figure").action(
    guarded(async ([name], { json = false }) => (await import("./check.ts")).bench(name ?? null, json)),
  );
}

function registerSafety(program: Command): void {
  add(program, "backup <folder>", "add a backup of database, storage and settings to a folder")
    .option("--compose", "of the platform of docker-compose.yml, instead of this folder's own")
    .option("--env-file <file>", "its .env, when it is another one")
    .option("--keep <count>", "how many backups stay in the folder; default: all")
    .action(
      guarded(async ([folder = ""], options) => (await import("./backup-commands.ts")).backupCommand(folder, options)),
    );
  add(program, "restore <folder>", "bring a backup back into an empty platform that is stopped")
    .option("--compose", "into the platform of docker-compose.yml, instead of this folder's own")
    .option("--env-file <file>", "its .env, when it is another one")
    .option("--at <name>", "which of the folder's backups; default: the newest")
    .option("--replace", "give up what the platform holds")
    .action(
      guarded(async ([folder = ""], options) => (await import("./backup-commands.ts")).restoreCommand(folder, options)),
    );
  add(program, "compose-env", "write the .env of docker-compose.yml with random secrets, or add what it lacks").action(
    guarded(async (_args, options) => (await import("./backup-commands.ts")).composeEnvCommand(options)),
  );
}

function add(program: Command, usage: string, description: string): Command {
  return program.command(usage).description(description).option("--json", "print NDJSON for programs");
}

/** Runs a command, prints what went wrong as one message, and sets the exit code. */
function guarded(run: (args: (string | undefined)[], options: Options) => Promise<number>) {
  return async (...given: unknown[]) => {
    const command = given.at(-1) as Command;
    const options = command.optsWithGlobals<Options>();
    try {
      process.exitCode = await run(given.slice(0, -2) as (string | undefined)[], options);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (options.json) say(JSON.stringify({ event: "error", message }));
      else process.stderr.write(`vp: ${message}\n`);
      process.exitCode = 1;
    }
  };
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function upText(gateway: string, notifier: string, foreground: boolean): string {
  return [
    "Vision Platform is running.",
    `  API        ${gateway}        (documentation: ${gateway}/docs)`,
    `  live       ${notifier}`,
    `  account    admin@localhost.localdomain, password in .vp/secrets.json; ./vp uses it by itself`,
    foreground ? "Ctrl-C ends it." : "./vp status · ./vp logs · ./vp down",
  ].join("\n");
}
