/** Who looks after an attempt: claim, renew, release, adopt. */
import { randomBytes } from "node:crypto";
import { conflict, notFound } from "@vision-platform/common/app-error";
import type {
  AttemptSpec,
  adoptAttempt as adoptOperation,
  claimAttempt as claimOperation,
} from "@vision-platform/contracts/api/internal";
import type { BodyOf } from "@vision-platform/contracts/api/operation";
import { isTerminal } from "@vision-platform/contracts/job-state";
import type { Db } from "../db/db.ts";
import type { JobRow } from "../db/schema.ts";
import { nothingSaid } from "../events/announcements.ts";
import { appendEvent } from "../events/event-log.repository.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";
import { transition } from "../jobs/transition.repository.ts";
import { attemptSpec } from "./attempt-spec.ts";
import { type AttemptKey, type JobAndAttempt, lockAttempt, readAttempt } from "./attempts.repository.ts";
import { checkFence } from "./fence.ts";
import { chooseGpus } from "./gpu-choice.ts";
import {
  dropLease,
  leaseState,
  lockGpus,
  logOffset,
  noteWaiting,
  passLease,
  renewLease,
  takeLease,
} from "./leases.repository.ts";
import { findWeights } from "./weights.ts";
import { gpuUsers } from "./workers.repository.ts";

/** Longer than workers wait before they ask again, so that the reason stays readable. */
const GPUS_BUSY_S = 15;

const newToken = () => randomBytes(24).toString("base64url");

/** The GPUs of this worker cannot serve the job now. */
class GpusBusy extends Error {}

async function gpusFor(
  tx: Db,
  job: JobRow,
  { worker_id, gpus: offered }: BodyOf<typeof claimOperation>,
): Promise<string[]> {
  // Where others look after the GPUs, as in a cluster, the worker names none.
  if (offered === undefined) return [];
  if (offered.length > 0) await lockGpus(tx);
  const busy = offered.length > 0 ? new Set((await gpuUsers(tx)).keys()) : new Set<string>();
  const chosen = chooseGpus(job, offered, busy);
  if ("wants" in chosen) throw new GpusBusy(`Waits for ${chosen.wants}; worker ${worker_id} has ${chosen.has}`);
  return chosen.gpu_ids;
}

/**
 * Gives the attempt to this worker. Throws 404, or 409 `already_claimed`, `stale`, `terminal`, `cancelled`, and
 * `gpus_busy` when the worker has not the GPUs that the job asks for: the job then shows what it waits for.
 */
export async function claimAttempt(
  gateway: JobsGateway,
  key: AttemptKey,
  claim: BodyOf<typeof claimOperation>,
): Promise<AttemptSpec> {
  const said = nothingSaid();
  const { gpus: _, ...worker } = claim;
  const taking = gateway.db.transaction().execute(async (tx) => {
    const begun = await transition(tx, { ...key, to: "RUNNING" });
    if (!begun) throw whyNotClaimed(await readAttempt(tx, key.job_id, key.attempt), key.attempt);
    const lease_token = newToken();
    const gpu_ids = await gpusFor(tx, begun.job, claim);
    const row = await takeLease(tx, key, { ...worker, lease_token, gpu_ids });
    const data = { attempt: key.attempt, status: "claimed", worker_id: worker.worker_id };
    said.events = [begun.event, await appendEvent(tx, key.job_id, { attempt: key.attempt, type: "attempt", data })];
    return attemptSpec(gateway, begun.job, row, { lease_token, last_log_offset: 0 });
  });
  const spec = await taking.catch(async (error: unknown) => {
    if (!(error instanceof GpusBusy)) throw error;
    await noteWaiting(gateway.db, key, error.message, GPUS_BUSY_S);
    throw conflict(error.message, "gpus_busy");
  });
  gateway.announcer.announce(said);
  const { job_id, attempt, trace_id, gpu_ids } = spec;
  gateway.logger.info({ job_id, attempt, trace_id, worker_id: worker.worker_id, gpu_ids }, "attempt claimed");
  return { ...spec, pretrained_uri: await findWeights(gateway, spec) };
}

function whyNotClaimed(found: JobAndAttempt | undefined, attempt: number): Error {
  if (!found) return notFound("Training job not found");
  const { state, attempt: newest } = found.job;
  if (state === "CANCELLED") return conflict("the job was cancelled", "cancelled");
  if (isTerminal(state)) return conflict(`the job is over: ${state}`, "terminal");
  if (newest !== attempt || state !== "RUNNING")
    return conflict(`attempt ${attempt} does not wait for a worker`, "stale");
  return conflict("the attempt has a worker", "already_claimed");
}

/**
 * Gives a running attempt, whose trainer outlived its worker, to another one: to who knows the lease's token at once, to
 * anybody when the lease is over. Throws 404; 409 `lease_held` while somebody has it, `other_launcher` when its trainer is
 * not one of this launcher's, `stale` or `terminal` when its trainer has nothing to do any more.
 */
export async function adoptAttempt(
  gateway: JobsGateway,
  key: AttemptKey,
  { lease_token: known, ...worker }: BodyOf<typeof adoptOperation>,
): Promise<AttemptSpec> {
  const said = nothingSaid();
  const spec = await gateway.db.transaction().execute(async (tx) => {
    const found = await lockAttempt(tx, key.job_id, key.attempt);
    const attempt = checkFence(found, key.attempt, { door: "callback" });
    if (attempt.launcher !== worker.launcher)
      throw conflict(`its trainer was launched by ${attempt.launcher}`, "other_launcher");
    const mine = known !== undefined && known === attempt.lease_token;
    if (!mine && !(await leaseState(tx, key)).over) throw conflict("the attempt has a worker", "lease_held");
    const lease_token = newToken();
    const row = await passLease(tx, key, { ...worker, lease_token });
    const data = { attempt: key.attempt, status: "adopted", worker_id: worker.worker_id };
    said.events = [await appendEvent(tx, key.job_id, { attempt: key.attempt, type: "attempt", data })];
    const last_log_offset = await logOffset(tx, key);
    return attemptSpec(gateway, (found as JobAndAttempt).job, row, { lease_token, last_log_offset });
  });
  gateway.announcer.announce(said);
  gateway.logger.info({ ...key, trace_id: spec.trace_id, worker_id: worker.worker_id }, "attempt adopted");
  return spec;
}

/** The trainer goes on without this worker: whoever finds it may adopt it. Throws 404 and 409 `lease_lost`. */
export async function releaseAttempt(gateway: JobsGateway, key: AttemptKey, lease_token: string): Promise<void> {
  if (await dropLease(gateway.db, { ...key, lease_token })) {
    gateway.logger.info({ ...key }, "attempt released");
    return;
  }
  throw await leaseLost(gateway, key);
}

/** Throws 404, or 409 `lease_lost` when the attempt is over, was swept, or is somebody else's. */
export async function renewAttempt(
  gateway: JobsGateway,
  key: AttemptKey,
  lease_token: string,
): Promise<{ cancel: boolean; lease_until: string }> {
  const renewed = await renewLease(gateway.db, { ...key, lease_token });
  if (!renewed) throw await leaseLost(gateway, key);
  return { cancel: renewed.cancel_requested_at !== null, lease_until: renewed.lease_until.toISOString() };
}

async function leaseLost(gateway: JobsGateway, key: AttemptKey): Promise<Error> {
  const found = await readAttempt(gateway.db, key.job_id, key.attempt);
  return found ? conflict("the lease is lost", "lease_lost") : notFound("Training job not found");
}
