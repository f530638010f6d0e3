/** The script trainer's side of the contract's three doors: numbered events, one after the other. */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import type { ScriptEnvironment } from "./config.ts";

export interface EventWriter {
  /** Resolves when the event has left this process. */
  write(type: string, data: Record<string, unknown>): Promise<void>;
}

type Send = (src_seq: number, event: object) => Promise<unknown>;

function toRedis(environment: ScriptEnvironment): Send {
  const redis = new Redis(environment.EVENTS_REDIS_URL ?? "", { enableReadyCheck: false, maxRetriesPerRequest: null });
  redis.on("error", () => undefined);
  return async (src_seq, event) => {
    for (;;) {
      try {
        return await redis.xadd(environment.EVENTS_STREAM, `${src_seq}-0`, "e", JSON.stringify(event));
      } catch (error) {
        if (String(error).includes("equal or smaller")) return;
        // After a restart of Redis the worker has to make our user again.
        await sleep(100);
        redis.disconnect(true);
      }
    }
  };
}

function toGateway(environment: ScriptEnvironment): Send {
  return async (_src_seq, event) => {
    const headers = { authorization: `Bearer ${environment.CALLBACK_TOKEN}`, "content-type": "application/json" };
    const url = `${environment.CALLBACK_URL}/v1/jobs/${environment.JOB_ID}/event`;
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(event) });
    if (!response.ok) throw new Error(`the gateway answered ${response.status}: ${await response.text()}`);
  };
}

async function toStdout(_src_seq: number, event: object): Promise<void> {
  process.stdout.write(`@event ${JSON.stringify(event)}\n`);
}

export function createEventWriter(environment: ScriptEnvironment): EventWriter {
  const { EVENTS_MODE: mode } = environment;
  const send = mode === "redis" ? toRedis(environment) : mode === "http" ? toGateway(environment) : toStdout;
  let src_seq = 0;
  let queue: Promise<unknown> = Promise.resolve();
  return {
    async write(type, data) {
      src_seq += 1;
      const number = src_seq;
      const event = { v: 1, type, ts: new Date().toISOString(), src_seq: number, data };
      queue = queue.then(() => send(number, event));
      await queue;
    },
  };
}
