/** models list | show */
import { getModel, listModels } from "@vision-platform/contracts/api/models";
import { TASK_TYPES, type TaskType } from "@vision-platform/contracts/storage-manifests";
import { type Command, Option } from "commander";
import { findModel } from "../lookup/by-name.ts";
import { fieldLines, tableLines } from "../output/table.ts";
import { action, leaf } from "./action.ts";

interface Property {
  type?: string | string[];
  enum?: unknown[];
  default?: unknown;
  description?: string;
  minimum?: number;
  maximum?: number;
}

function rangeOf({ type, enum: choices, minimum, maximum }: Property): string {
  if (choices !== undefined) return choices.map(String).join(" | ");
  const range = minimum === undefined && maximum === undefined ? "" : ` ${minimum ?? ""}…${maximum ?? ""}`;
  return `${[type].flat().join(" | ")}${range}`;
}

export function registerModels(models: Command): void {
  leaf(models.command("list"))
    .description("all of them, or those of a framework or task")
    .option("--framework <name>", "such as timm")
    .addOption(new Option("--task <task>", "what it is for").choices(TASK_TYPES))
    .option("--tags <tags>", "comma-separated; a model must carry all of them")
    .action(
      action<{ framework?: string; task?: TaskType; tags?: string }>(
        async ({ output, session }, _, { framework, task, tags }) => {
          const { items } = await (await session()).call(listModels, { query: { framework, tags, task } });
          type Row = (typeof items)[number];
          const columns = [
            { title: "framework", of: (one: Row) => one.framework },
            { title: "model", of: (one: Row) => one.name },
            { title: "params (M)", of: (one: Row) => one.params_m, align: "right" as const },
            { title: "input", of: (one: Row) => one.input_size, align: "right" as const },
            { title: "pretrained", of: (one: Row) => (one.pretrained ? "yes" : "no") },
            { title: "license", of: (one: Row) => one.license },
            { title: "tags", of: (one: Row) => one.tags.join(" ") },
          ];
          output.list(items, columns, "no such models");
          return undefined;
        },
      ),
    );
  leaf(models.command("show <model>"))
    .description("one model, and the settings its trainer takes (--config)")
    .option("--framework <name>", "when several have a model of that name")
    .action(
      action<{ framework?: string }>(async ({ output, session }, [name = ""], { framework }) => {
        const open = await session();
        const found = await findModel(open, name, framework);
        const model = await open.call(getModel, { params: { framework: found.framework, model_name: found.name } });
        output.record(model);
        const fields = [
          ["model", `${model.framework}/${model.name}`],
          ["title", model.title],
          ["tasks", model.tasks.join(", ")],
          ["parameters", `${model.params_m} M`],
          ["input", `${model.input_size} px`],
          ["pretrained", model.pretrained ? "yes" : "no"],
          ["license", model.license],
          ["tags", model.tags.join(" ")],
          ["notes", model.notes],
        ] as const;
        for (const line of fieldLines(fields)) output.line(line);
        printSettings(output, (model.hyperparameters.properties ?? {}) as Record<string, Property>);
        return undefined;
      }),
    );
}

function printSettings(output: { line(text: string): void }, properties: Record<string, Property>): void {
  const rows = Object.entries(properties);
  if (rows.length === 0) return;
  output.line("");
  type Row = (typeof rows)[number];
  const columns = [
    { title: "--config", of: ([name]: Row) => name },
    { title: "value", of: ([, property]: Row) => rangeOf(property) },
    {
      title: "default",
      of: ([, property]: Row) => (property.default === undefined ? "-" : JSON.stringify(property.default)),
    },
    { title: "meaning", of: ([, property]: Row) => property.description },
  ];
  for (const line of tableLines(columns, rows)) output.line(line);
}
