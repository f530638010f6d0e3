/** The events that are worth a line of their own, in words. */
import type { AttemptEventData, JobEvent, StateEventData } from "@vision-platform/contracts/job-events";
import type { LogEvent, MetricsEvent, StartedEvent, WarningEvent } from "@vision-platform/contracts/trainer-events";
import type { z } from "zod";
import { duration, figure, plain } from "../output/format.ts";
import type { JobView } from "./job-view.ts";

/** `epoch 2/5  loss 0.5321  val/top1 0.912  1,234 samples/s  ETA 12 s`: only what is known. */
export function epochLine(view: JobView): string {
  const parts = [
    view.epoch === undefined || !view.epochs ? undefined : `epoch ${view.epoch}/${view.epochs}`,
    view.loss === undefined ? undefined : `loss ${figure(view.loss)}`,
    view.accuracy === undefined ? undefined : `${view.accuracy_name ?? "accuracy"} ${figure(view.accuracy)}`,
    view.samples_per_s ? `${figure(Math.round(view.samples_per_s))} samples/s` : undefined,
    typeof view.eta_s === "number" ? `ETA ${duration(view.eta_s)}` : undefined,
  ];
  return parts.filter((part) => part !== undefined).join("  ");
}

/** Of a stack trace the line that says what happened; all of it is in the log. */
function lastLine(message: string): string {
  const line = message.trimEnd().split("\n").at(-1) ?? "";
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}

/** A line about this event, or undefined when it only moves the figures. */
export function newsOf(view: JobView, before: JobView, event: JobEvent): string | undefined {
  switch (event.type) {
    case "state": {
      const { state, previous, reason } = event.data as StateEventData;
      const why = reason === undefined ? "" : `: ${plain(reason)}`;
      const again = state === "QUEUED" && previous === "RUNNING" ? " again" : "";
      return `${state}${again}${why}`;
    }
    case "attempt": {
      const { status, attempt } = event.data as AttemptEventData;
      return status === "adopted" ? `attempt ${attempt} goes on with another worker` : undefined;
    }
    case "phase":
      if (view.detail !== undefined && view.detail !== before.detail) return plain(`${view.phase}: ${view.detail}`);
      return view.phase === before.phase ? undefined : `phase ${view.phase}`;
    case "started": {
      const { device, versions } = event.data as z.infer<typeof StartedEvent>["data"];
      const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
      return plain(`started on ${device}${names.length > 0 ? ` (${names.slice(0, 4).join(", ")})` : ""}`);
    }
    case "metrics": {
      const { scope, split } = event.data as z.infer<typeof MetricsEvent>["data"];
      return scope === "epoch" && split === "val" ? epochLine(view) : undefined;
    }
    case "warning": {
      const { code, message } = event.data as z.infer<typeof WarningEvent>["data"];
      return plain(`warning ${code}${message === undefined ? "" : `: ${message}`}`);
    }
    case "log": {
      const { level, message } = event.data as z.infer<typeof LogEvent>["data"];
      return level === "warning" || level === "error" ? plain(`${level}: ${lastLine(message)}`) : undefined;
    }
    default:
      return undefined;
  }
}
