/** JSON Schema 2020-12 of everything that crosses a process boundary outside HTTP: what trainers read and write. */
import { z } from "zod";
import { Failure } from "../failure-codes.ts";
import { AttemptEventData, JobEvent, StateEventData } from "../job-events.ts";
import {
  CheckpointManifest,
  CheckpointPointer,
  DatasetManifest,
  DatasetSample,
  DatasetShard,
  DatasetSummary,
  EvaluationReport,
  ExportReport,
  Finding,
  Prediction,
  RunLengthMask,
  SampleObject,
  TrainerResult,
} from "../storage-manifests.ts";
import {
  Artifact,
  CheckpointEvent,
  FailedEvent,
  HeartbeatEvent,
  LogEvent,
  MetricsEvent,
  PhaseEvent,
  ProgressEvent,
  SampleEvent,
  StartedEvent,
  StoppedEvent,
  SucceededEvent,
  TrainerEvent,
  WarningEvent,
} from "../trainer-events.ts";
import { CatalogueModel, KindManifest, TrainerManifest } from "../trainer-manifest.ts";

const PUBLISHED = {
  StartedEvent,
  PhaseEvent,
  ProgressEvent,
  MetricsEvent,
  LogEvent,
  CheckpointEvent,
  SampleEvent,
  WarningEvent,
  HeartbeatEvent,
  SucceededEvent,
  FailedEvent,
  StoppedEvent,
  TrainerEvent,
  Artifact,
  Failure,
  DatasetShard,
  DatasetManifest,
  RunLengthMask,
  SampleObject,
  DatasetSample,
  DatasetSummary,
  Finding,
  CheckpointManifest,
  CheckpointPointer,
  TrainerResult,
  Prediction,
  EvaluationReport,
  ExportReport,
  KindManifest,
  CatalogueModel,
  TrainerManifest,
  JobEvent,
  StateEventData,
  AttemptEventData,
};

/** One document whose `$defs` hold every published schema, in the input form: a reader lets new fields pass. */
export function trainerContractSchema(): object {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(PUBLISHED)) {
    registry.add(schema, { id });
    if (id.endsWith("Event") && "shape" in schema && "type" in schema.shape)
      registry.add(schema.shape.data, { id: id.replace("Event", "Data") });
  }
  const { schemas } = z.toJSONSchema(registry, { io: "input", uri: (id) => `#/$defs/${id}` });
  const definitions = Object.entries(schemas).map(([id, schema]) => {
    const { $schema: _schema, $id: _id, id: _name, ...definition } = schema as Record<string, unknown>;
    return [id, { title: id, ...(scalarsOrNull(definition) as object) }] as const;
  });
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: "vision-platform-contract-v1",
    title: "Contract",
    description: "Vision Platform trainer contract, version 1. Generated from shared-contracts/src; do not edit.",
    $defs: Object.fromEntries(definitions),
  };
}

/** `anyOf: [{type: T, …}, {type: null}]` of a scalar says the same as `type: [T, "null"]`, which generators read better. */
function scalarsOrNull(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(scalarsOrNull);
  if (typeof node !== "object" || node === null) return node;
  const { anyOf, ...rest } = node as { anyOf?: { type?: string }[] };
  const entries = Object.entries(rest).map(([name, value]) => [name, scalarsOrNull(value)]);
  const copy = Object.fromEntries(entries) as Record<string, unknown>;
  const [first, second] = anyOf ?? [];
  if (anyOf?.length === 2 && second?.type === "null" && ["string", "number", "integer"].includes(first?.type ?? "")) {
    return { ...copy, ...first, type: [first?.type, "null"] };
  }
  return anyOf === undefined ? copy : { ...copy, anyOf: anyOf.map(scalarsOrNull) };
}
