/** The door of trainers without Redis: HTTP with a token bound to one job and attempt. */
import { z } from "zod";
import { TrainerEventHead } from "../trainer-events.ts";
import { Id, operation } from "./operation.ts";

const params = z.object({ job_id: Id });
const tag = "trainer callbacks";
/** `acked`: the highest src_seq up to which nothing is missing; send again from there. `cancel`: stop with a checkpoint. */
export const Acknowledgement = z.object({ acked: z.int().min(0), cancel: z.boolean() }).meta({ id: "Acknowledgement" });
export type Acknowledgement = z.infer<typeof Acknowledgement>;

const common = {
  method: "post",
  access: "attempt",
  tag,
  params,
  status: 200,
  response: Acknowledgement,
  problems: [409],
} as const;

export const callbackHeartbeat = operation({
  ...common,
  id: "callbackHeartbeat",
  path: "/v1/jobs/{job_id}/heartbeat",
  summary: "Alive; 409 means another attempt has taken over: stop",
  body: z.looseObject({}).optional(),
});
export const callbackEvent = operation({
  ...common,
  id: "callbackEvent",
  path: "/v1/jobs/{job_id}/event",
  summary: "One event, or a batch in order",
  body: z.union([z.object({ events: z.array(TrainerEventHead).min(1).max(500) }), TrainerEventHead]),
});
export const callbackDone = operation({
  ...common,
  id: "callbackDone",
  path: "/v1/jobs/{job_id}/done",
  summary: "The terminal event: succeeded, failed or stopped",
  body: TrainerEventHead,
});
