/** jobs submit | evaluate | predict | export | start | list | show | watch | logs | cancel | artifacts | download */
import { JOB_KINDS, JOB_STATES } from "@vision-platform/contracts/job-state";
import { TASK_TYPES } from "@vision-platform/contracts/storage-manifests";
import { type Command, Option } from "commander";
import { action, leaf } from "./action.ts";
import { gathered, positiveNumber, wholeNumber } from "./arguments.ts";
import type { DeriveOptions } from "./jobs-derive.ts";
import type { ListOptions } from "./jobs-list.ts";
import type { LogsOptions } from "./jobs-logs.ts";
import type { SubmitOptions } from "./jobs-submit.ts";

export function registerJobs(jobs: Command): void {
  registerSubmit(jobs);
  registerDerived(jobs);
  registerReading(jobs);
  registerWatching(jobs);
  registerResults(jobs);
}

function registerSubmit(jobs: Command): void {
  leaf(jobs.command("submit"))
    .description("describe a training job and start it")
    .requiredOption("--dataset <dataset>", "name or id")
    .requiredOption("--model <model>", "such as test_resnet, or timm/test_resnet")
    .option("--project <project>", "name or id (default: the only one you have)")
    .option("--framework <name>", "when several have a model of that name")
    .addOption(new Option("--task <task>", "default: the dataset's").choices(TASK_TYPES))
    .option("--dataset-version <n>", "default: the newest that is ready", wholeNumber(1))
    .option("--epochs <n>", "passes over the training data", wholeNumber(1), 10)
    .option("--batch-size <n>", "images a step", wholeNumber(1), 32)
    .option("--lr <rate>", "learning rate", positiveNumber, 0.001)
    .option("--seed <n>", "for everything random", wholeNumber(0), 0)
    .option("--gpus <n>", "GPUs of one machine to train on", wholeNumber(1), 1)
    .option("--min-vram <GB>", "wait for GPUs with so much memory each", positiveNumber)
    .option("--config <k=v|file>", "further settings (see models show); may be repeated", gathered)
    .option("--name <name>", "what you call it")
    .option("--tag <tag>", "may be repeated", gathered)
    .option("--no-start", "only describe it; start it later with jobs start")
    .option("--watch", "show its progress until it is over")
    .action(
      action<SubmitOptions>(async (context, _, options) =>
        (await import("./jobs-submit.ts")).submitJob(context, options),
      ),
    );
  leaf(jobs.command("start <job>"))
    .description("start a job that was submitted with --no-start")
    .option("--watch", "show its progress until it is over")
    .action(
      action<{ watch?: boolean }>(async (context, args, options) =>
        (await import("./jobs-submit.ts")).start(context, args, options),
      ),
    );
}

const DERIVED = {
  evaluate: "measure the model of a training on a dataset",
  predict: "let the model of a training look at images, or at a dataset",
  export: "write the model of a training as ONNX, and check that it says the same",
} as const;

function registerDerived(jobs: Command): void {
  for (const [kind, description] of Object.entries(DERIVED) as [DeriveOptions["kind"], string][]) {
    const command = leaf(jobs.command(`${kind} <job>`))
      .description(description)
      .addOption(new Option("--checkpoint <which>", "of the training").choices(["best", "last"]).default("best"))
      .option("--dataset <dataset>", "name or id (default: the training's own)")
      .option("--dataset-version <n>", "default: the training's, or the newest that is ready", wholeNumber(1))
      .option("--config <k=v|file>", "a setting of this kind (see models show); may be repeated", gathered)
      .option("--batch-size <n>", "images a step", wholeNumber(1), 16)
      .option("--name <name>", "what you call it")
      .option("--watch", "show its progress until it is over, and what came out");
    if (kind === "predict") command.option("--image <file...>", "image files instead of a dataset");
    command.action(
      action<Omit<DeriveOptions, "kind">>(async (context, args, options) =>
        (await import("./jobs-derive.ts")).deriveJob(context, args, { ...options, kind }),
      ),
    );
  }
}

function registerReading(jobs: Command): void {
  leaf(jobs.command("list"))
    .description("the newest jobs of your projects")
    .option("--project <project>", "name or id")
    .addOption(new Option("--state <state>", "only those in this state").choices(JOB_STATES))
    .addOption(new Option("--kind <kind>", "only those of this kind").choices(JOB_KINDS))
    .option("--framework <name>", "only those of this framework")
    .option("--tag <tag>", "only those with this tag")
    .option("--limit <n>", "how many at most", wholeNumber(1), 20)
    .action(
      action<ListOptions>(async (context, _, options) => (await import("./jobs-list.ts")).listAll(context, options)),
    );
  leaf(jobs.command("show <job>"))
    .description("everything about one job")
    .action(action(async (context, args) => (await import("./jobs-show.ts")).show(context, args)));
  leaf(jobs.command("cancel <job>"))
    .description("cancel it; a running one saves a checkpoint first")
    .action(action(async (context, args) => (await import("./jobs-show.ts")).cancel(context, args)));
}

function registerWatching(jobs: Command): void {
  leaf(jobs.command("watch <job>"))
    .description("show its progress until it is over; Ctrl-C leaves it running")
    .option("--after <seq>", "begin after this event; 0 for the first (default: now, with --json 0)", wholeNumber(0))
    .action(
      action<{ after?: number }>(async (context, args, options) =>
        (await import("./jobs-watch.ts")).watch(context, args, options),
      ),
    );
  leaf(jobs.command("logs <job>"))
    .description("what the trainer and the platform wrote")
    .option("-f, --follow", "go on until the job is over")
    .option("--after <seq>", "begin after this event", wholeNumber(0), 0)
    .option("--whole", "everything each ended attempt of the trainer wrote")
    .action(
      action<LogsOptions>(async (context, args, options) =>
        (await import("./jobs-logs.ts")).logs(context, args, options),
      ),
    );
}

function registerResults(jobs: Command): void {
  leaf(jobs.command("artifacts <job>"))
    .description("the files it left")
    .action(action(async (context, args) => (await import("./jobs-artifacts.ts")).list(context, args)));
  leaf(jobs.command("download <job> [name...]"))
    .description("download its files, all of them or by name, and check their hashes")
    .option("-o, --output <folder>", "where to (default: job-<id>)")
    .action(
      action<{ output?: string }>(async (context, args, options) =>
        (await import("./jobs-artifacts.ts")).download(context, args, options),
      ),
    );
}
