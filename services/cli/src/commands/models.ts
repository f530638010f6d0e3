/** models list | show | add-weights */
import { getModel, listModels, type Model } from "@vision-platform/contracts/api/models";
import { TASK_TYPES, type TaskType } from "@vision-platform/contracts/storage-manifests";
import { type Command, Option } from "commander";
import { findModel, whyOff } from "../lookup/by-name.ts";
import { UsageError } from "../output/failure.ts";
import { fieldLines, tableLines } from "../output/table.ts";
import { action, leaf } from "./action.ts";

interface Property {
  type?: string | string[];
  enum?: unknown[];
  anyOf?: Property[];
  default?: unknown;
  title?: string;
  description?: string;
  minimum?: number;
  maximum?: number;
  "x-unit"?: string;
}

function rangeOf({ type, enum: choices, anyOf, minimum, maximum, "x-unit": unit }: Property): string {
  if (anyOf !== undefined) return anyOf.map(rangeOf).join(" | ");
  if (choices !== undefined) return choices.map(String).join(" | ");
  const range = minimum === undefined && maximum === undefined ? "" : ` ${minimum ?? ""}…${maximum ?? ""}`;
  return `${[type ?? "any"].flat().join(" | ")}${range}${unit === undefined ? "" : ` ${unit}`}`;
}

function figureOf(figure: Model["accuracy"]): string | undefined {
  return figure && `${figure.value} ${figure.unit} on ${figure.on} (${figure.source})`;
}

function recommendedText({ epochs, batch_size, learning_rate }: NonNullable<Model["recommended"]>): string {
  return `--epochs ${epochs} --batch-size ${batch_size} --lr ${learning_rate}`;
}

export function registerModels(models: Command): void {
  leaf(models.command("list"))
    .description("all of them, or those of a framework or task")
    .option("--framework <name>", "such as timm")
    .addOption(new Option("--task <task>", "what it is for").choices(TASK_TYPES))
    .option("--tags <tags>", "comma-separated; a model must carry all of them")
    .option("--search <text>", "part of the name")
    .option("--all", "also what the framework knows beyond this catalogue (with --framework)")
    .action(
      action<{ framework?: string; task?: TaskType; tags?: string; search?: string; all?: boolean }>(
        async ({ output, session }, _, { framework, task, tags, search, all = false }) => {
          if (all && framework === undefined) throw new UsageError("--all needs --framework");
          const query = { framework, tags, task, search, all: all ? ("true" as const) : undefined };
          const { items, total } = await (await session()).call(listModels, { query });
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
          const off = items.length === 0 ? await whyOff(await session(), framework) : undefined;
          output.list(items, columns, off ?? "no such models");
          if (total > items.length) output.note(`${total - items.length} more: narrow it down with --search`);
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
          ["weights", model.weights && `${model.weights.license}, ${model.weights.source}`],
          ["accuracy", figureOf(model.accuracy)],
          ["speed", figureOf(model.speed)],
          ["recommended", model.recommended && recommendedText(model.recommended)],
          ["memory", model.memory_mb && `about ${model.memory_mb} MiB`],
          ["notes", model.notes],
        ] as const;
        for (const line of fieldLines(fields)) output.line(line);
        printSettings(output, "--config", model.hyperparameters);
        for (const [kind, schema] of Object.entries(model.options)) printSettings(output, `${kind} --config`, schema);
        return undefined;
      }),
    );
  leaf(models.command("add-weights <framework> <model> <file>"))
    .description("put pretrained weights into the platform's store (administrators)")
    .action(action(async (context, args) => (await import("./models-weights.ts")).addWeights(context, args)));
}

function printSettings(output: { line(text: string): void }, title: string, schema: Record<string, unknown>): void {
  const rows = Object.entries((schema.properties ?? {}) as Record<string, Property>);
  if (rows.length === 0) return;
  output.line("");
  type Row = (typeof rows)[number];
  const columns = [
    { title, of: ([name]: Row) => name },
    { title: "value", of: ([, property]: Row) => rangeOf(property) },
    {
      title: "default",
      of: ([, property]: Row) => (property.default === undefined ? "-" : JSON.stringify(property.default)),
    },
    { title: "meaning", of: ([, property]: Row) => property.description ?? property.title },
  ];
  for (const line of tableLines(columns, rows)) output.line(line);
}
