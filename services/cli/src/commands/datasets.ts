/** datasets list | create | import | show */
import { SOURCE_FORMATS } from "@vision-platform/contracts/api/datasets";
import { TASK_TYPES, type TaskType } from "@vision-platform/contracts/storage-manifests";
import { type Command, Option } from "commander";
import { action, leaf } from "./action.ts";
import { positiveNumber, wholeNumber } from "./arguments.ts";
import type { ImportOptions } from "./datasets-import.ts";

function taskOption(): Option {
  return new Option("--task <task>", "what it is for").choices(TASK_TYPES).default("image_classification");
}

export function registerDatasets(datasets: Command): void {
  leaf(datasets.command("list"))
    .description("the datasets of your projects")
    .option("--project <project>", "name or id")
    .action(
      action<{ project?: string }>(async (context, _, options) =>
        (await import("./datasets-show.ts")).listAll(context, options),
      ),
    );
  leaf(datasets.command("create <name>"))
    .description("make a dataset, still without images")
    .option("--project <project>", "name or id (default: the only one you have)")
    .addOption(taskOption())
    .action(
      action<{ project?: string; task: TaskType }>(async (context, args, options) =>
        (await import("./datasets-show.ts")).create(context, args, options),
      ),
    );
  leaf(datasets.command("import <source>"))
    .description("upload a zip or a folder as the next version, and check it")
    .option("--project <project>", "name or id (default: the only one you have)")
    .option("--name <name>", "the dataset; made when there is none of that name (default: the name of the source)")
    .addOption(taskOption())
    .addOption(
      new Option("--format <format>", "how the source is laid out; auto finds out")
        .choices(SOURCE_FORMATS)
        .default("auto"),
    )
    .option("--skip-bad-files", "leave broken files out instead of refusing the version")
    .option(
      "--val-fraction <share>",
      "share of the images to validate with, when the source has no splits",
      positiveNumber,
      0.2,
    )
    .option("--seed <n>", "for that split", wholeNumber(0), 0)
    .action(
      action<ImportOptions>(async (context, args, options) =>
        (await import("./datasets-import.ts")).runImport(context, args, options),
      ),
    );
  leaf(datasets.command("show <dataset>"))
    .description("one dataset with its versions and what was found wrong (name or id)")
    .option("--project <project>", "name or id")
    .action(
      action<{ project?: string }>(async (context, args, options) =>
        (await import("./datasets-show.ts")).show(context, args, options),
      ),
    );
}
