/** What an evaluate, predict or export job found, in a few lines for people. */
import type { EvaluationReport, ExportReport, Prediction } from "@vision-platform/contracts/storage-manifests";
import { count, figure, plain } from "../output/format.ts";
import { type Column, tableLines } from "../output/table.ts";

const MAX_ROWS = 20;
const MAX_NAMES = 5;
/** Less likely labels than this say nothing to a person. */
const MIN_SCORE = 0.05;

/** Per class, and the worst samples. */
export function evaluationLines(report: EvaluationReport): string[] {
  const { split, samples, per_class, worst } = report;
  const shown = per_class.slice(0, MAX_ROWS);
  const names = [...new Set(shown.flatMap(({ metrics }) => Object.keys(metrics)))].slice(0, 4);
  const columns: Column<(typeof shown)[number]>[] = [
    { title: "class", of: (one) => one.name },
    { title: "samples", of: (one) => one.support, align: "right" },
    ...names.map((name) => ({
      title: name,
      of: (one: (typeof shown)[number]) => figure(one.metrics[name]),
      align: "right" as const,
    })),
  ];
  return [
    `${count(samples)} samples of ${plain(split)}`,
    ...(shown.length === 0 ? [] : tableLines(columns, shown)),
    ...more(per_class.length, "classes in evaluation.json"),
    ...worst.slice(0, 3).map((one) => `worst: ${plain(`${one.image}: ${one.prediction} instead of ${one.truth}`)}`),
  ];
}

/** A line for each image. */
export function predictionLines(predictions: readonly Prediction[]): string[] {
  const lines = predictions.slice(0, MAX_ROWS).map((one) => plain(`${imageName(one.image)}: ${inWords(one)}`));
  return [...lines, ...more(predictions.length, "images in predictions.jsonl")];
}

/** The file, what goes in, and how near it comes to the original. */
export function exportLines(report: ExportReport): string[] {
  const { artifact, format, opset, inputs, parity } = report;
  const shapes = inputs.map(({ name, type, shape }) => `${name} ${type} [${shape.join(", ")}]`);
  return [
    plain(`${artifact}: ${format}${opset === undefined ? "" : ` (opset ${opset})`}, takes ${shapes.join(", ")}`),
    plain(
      `on ${parity.samples} samples it differs by ${figure(parity.max_abs_diff)} at most (${figure(parity.tolerance)} allowed); ` +
        `${parity.metric} ${figure(parity.metric_exported)}, of the original ${figure(parity.metric_original)}`,
    ),
  ];
}

function more(all: number, what: string): string[] {
  return all > MAX_ROWS ? [`… and ${count(all - MAX_ROWS)} more ${what}`] : [];
}

/** An image of one's own by the name it had. */
function imageName(image: string): string {
  return image.startsWith("s3://") ? (image.split("/").at(-1) ?? image).replace(/^[0-9a-f]{16}-/, "") : image;
}

function inWords({ labels, objects, mask, caption }: Prediction): string {
  if (labels !== undefined) {
    const likely = labels.filter(({ score }, place) => place === 0 || score >= MIN_SCORE);
    return listed(likely.map(({ name, score }) => `${name} ${figure(score)}`));
  }
  if (objects !== undefined) {
    const found = listed(objects.map(({ name, score }) => `${name} ${figure(score)}`));
    return objects.length === 0 ? "nothing found" : `${objects.length} found: ${found}`;
  }
  if (mask !== undefined) {
    const shares = Object.entries(mask.shares).sort(([, a], [, b]) => b - a);
    return listed(shares.map(([name, share]) => `${name} ${(100 * share).toFixed(1)} %`));
  }
  return caption ?? "no answer";
}

function listed(items: string[]): string {
  return items.length > MAX_NAMES ? `${items.slice(0, MAX_NAMES).join(", ")}, …` : items.join(", ");
}
