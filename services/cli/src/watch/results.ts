/** Reads the report that an evaluate, predict or export job left among its files. */
import type { Job } from "@vision-platform/contracts/api/jobs";
import { EvaluationReport, ExportReport, Prediction } from "@vision-platform/contracts/storage-manifests";
import { evaluationLines, exportLines, predictionLines } from "./result-lines.ts";

interface RemoteFile {
  name: string;
  url: string;
  bytes: number;
}

/** More is not for a terminal: the file is named, and can be downloaded. */
const MAX_BYTES = 8 * 1024 ** 2;
const TIMEOUT_MS = 20_000;

const REPORTS: Partial<Record<Job["kind"], { file: string; lines: (text: string) => string[] }>> = {
  evaluate: { file: "evaluation.json", lines: (text) => evaluationLines(EvaluationReport.parse(JSON.parse(text))) },
  export: { file: "export.json", lines: (text) => exportLines(ExportReport.parse(JSON.parse(text))) },
  predict: {
    file: "predictions.jsonl",
    lines: (text) =>
      predictionLines(
        text
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => Prediction.parse(JSON.parse(line))),
      ),
  },
};

/** Empty for other jobs; one line that says so when the report cannot be read. */
export async function resultLines({ kind }: Job, files: readonly RemoteFile[]): Promise<string[]> {
  const report = REPORTS[kind];
  const file = report && files.find((one) => one.name.split("/").at(-1) === report.file);
  if (report === undefined || file === undefined || file.bytes > MAX_BYTES) return [];
  try {
    const response = await fetch(file.url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) throw new Error(`the storage answers ${response.status}`);
    return report.lines(await response.text());
  } catch (error) {
    return [`${file.name} cannot be shown: ${reasonOf(error)}`];
  }
}

/** A report that is not as its contract says: the first field that is wrong. */
function reasonOf(error: unknown): string {
  const { issues, message } = error as { issues?: { path: PropertyKey[]; message: string }[]; message: string };
  const [issue] = issues ?? [];
  return issue === undefined ? message : `${issue.path.map(String).join(".")}: ${issue.message}`;
}
