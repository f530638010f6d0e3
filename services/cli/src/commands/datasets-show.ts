import { createDataset, type DatasetVersion, getDataset } from "@vision-platform/contracts/api/datasets";
import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import { findDataset, findProject, listDatasetsOf } from "../lookup/by-name.ts";
import { ago, bytes, count } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { fieldLines, tableLines } from "../output/table.ts";
import type { Context } from "./action.ts";

const SHOWN_FINDINGS = 30;

export async function listAll({ output, session }: Context, options: { project?: string }): Promise<undefined> {
  const open = await session();
  const projectId = options.project === undefined ? undefined : (await findProject(open, options.project)).id;
  const columns = [
    { title: "id", of: (one: Row) => one.id, align: "right" as const },
    { title: "name", of: (one: Row) => one.name },
    { title: "task", of: (one: Row) => one.task_type },
    { title: "ready", of: (one: Row) => (one.latest_version === null ? "no version" : `v${one.latest_version}`) },
    { title: "project", of: (one: Row) => one.project_id },
    { title: "made", of: (one: Row) => ago(one.created_at, Date.now()) },
  ];
  type Row = Awaited<ReturnType<typeof listDatasetsOf>>[number];
  output.list(await listDatasetsOf(open, projectId), columns, "no datasets yet: ./vp datasets import <zip|folder>");
  return undefined;
}

export async function create(
  { output, session }: Context,
  [name = ""]: string[],
  options: { project?: string; task: TaskType },
): Promise<undefined> {
  const open = await session();
  const project = await findProject(open, options.project);
  const dataset = await open.call(createDataset, { body: { project_id: project.id, name, task_type: options.task } });
  output.record(dataset);
  output.line(`dataset ${dataset.id}: ${dataset.name} in project ${project.name}`);
  return undefined;
}

/** What was found wrong, as a table: errors first. */
export function printFindings(output: Output, version: DatasetVersion): void {
  const { error, warning } = version.finding_counts;
  if (error + warning === 0) return;
  const findings = [...version.findings].sort((a, b) => a.severity.localeCompare(b.severity)).slice(0, SHOWN_FINDINGS);
  output.line(
    `${count(error)} ${error === 1 ? "error" : "errors"}, ${count(warning)} ${warning === 1 ? "warning" : "warnings"}`,
  );
  type Row = (typeof findings)[number];
  const columns = [
    { title: "severity", of: (one: Row) => one.severity },
    { title: "code", of: (one: Row) => one.code },
    { title: "file", of: (one: Row) => one.file },
    { title: "reason", of: (one: Row) => one.reason },
  ];
  for (const line of tableLines(columns, findings)) output.line(line);
  const hidden = error + warning - findings.length;
  if (hidden > 0) output.line(`and ${count(hidden)} more`);
}

/** Classes, images and sizes of a version that is ready. */
export function printVersion(output: Output, version: DatasetVersion): void {
  const { summary } = version;
  const fields = [
    ["version", `v${version.version} ${version.state}`],
    ["from", `${version.filename}${summary === null ? "" : ` (${summary.source_format})`}`],
    ["ingest job", version.job_id],
    [
      "images",
      summary === null
        ? undefined
        : `${count(summary.samples)} (${Object.entries(summary.counts)
            .map(([split, images]) => `${split} ${count(images)}`)
            .join(", ")})`,
    ],
    [
      "classes",
      summary === null
        ? undefined
        : `${summary.classes.length}: ${summary.classes.slice(0, 12).join(", ")}${summary.classes.length > 12 ? ", …" : ""}`,
    ],
    ["size", summary === null ? undefined : bytes(summary.bytes)],
  ] as const;
  for (const line of fieldLines(fields)) output.line(line);
  printFindings(output, version);
}

export async function show(
  { output, session }: Context,
  [name = ""]: string[],
  options: { project?: string },
): Promise<undefined> {
  const open = await session();
  const projectId = options.project === undefined ? undefined : (await findProject(open, options.project)).id;
  const found = await findDataset(open, name, projectId);
  const dataset = await open.call(getDataset, { params: { dataset_id: found.id } });
  output.show(dataset, [
    ["dataset", `${dataset.id}  ${dataset.name}`],
    ["task", dataset.task_type],
    ["project", dataset.project_id],
    ["made", ago(dataset.created_at, Date.now())],
  ]);
  for (const version of dataset.versions) {
    output.line("");
    printVersion(output, version);
  }
  return undefined;
}
