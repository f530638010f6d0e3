/** `Idempotency-Key`: the same key and body give the same answer, whatever was lost on the way. */
import { createHash } from "node:crypto";
import { AppError, invalid } from "@vision-platform/common/app-error";
import type { Operation, ResponseOf } from "@vision-platform/contracts/api/operation";
import type { Request } from "express";
import type { Db, Pool } from "../db/db.ts";
import { finishKey, readKey, takeKey } from "./idempotency.repository.ts";
import type { RequestInput } from "./validation.ts";

export interface IdempotentCall<Op extends Operation> {
  user_id: number;
  op: Op;
  key: string;
  input: RequestInput;
}
export interface IdempotencyStore {
  /**
   * Runs `work` in a transaction together with the key's row, or answers with what was answered before.
   * Rejects with 422 when the key came with another body. A failed `work` leaves no row: the key can be used again.
   */
  once<Op extends Operation>(
    call: IdempotentCall<Op>,
    work: (db: Db) => Promise<ResponseOf<Op>>,
  ): Promise<{ body: ResponseOf<Op>; replayed: boolean }>;
}

/** The request's key. Throws 422 when it is not 1 to 255 visible ASCII characters. */
export function keyOf(request: Request): string | undefined {
  const key = request.get("idempotency-key");
  if (key === undefined) return undefined;
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw invalid([{ pointer: "/header/Idempotency-Key", detail: "1 to 255 visible ASCII characters" }]);
  }
  return key;
}

export function createIdempotencyStore(db: Pool): IdempotencyStore {
  // Twins in this process wait here rather than in the database, where each would hold a connection.
  const running = new Map<string, Promise<unknown>>();

  async function once<Op extends Operation>(
    { user_id, op, key, input }: IdempotentCall<Op>,
    work: (db: Db) => Promise<ResponseOf<Op>>,
  ) {
    const id = { user_id, operation: op.id, key };
    const body_hash = createHash("sha256").update(JSON.stringify(input)).digest("hex");
    return await db.transaction().execute(async (trx) => {
      if (await takeKey(trx, { ...id, body_hash, status: op.status })) {
        const body = await work(trx);
        await finishKey(trx, id, body);
        return { body, replayed: false };
      }
      const earlier = await readKey(trx, id);
      if (earlier.body_hash !== body_hash) {
        throw new AppError("This Idempotency-Key was used with another request", {
          code: "idempotency_key_reused",
          status: 422,
        });
      }
      return { body: earlier.response as ResponseOf<Op>, replayed: true };
    });
  }

  return {
    async once(call, work) {
      const name = `${call.user_id} ${call.op.id} ${call.key}`;
      while (running.has(name)) await running.get(name)?.catch(() => undefined);
      const answer = once(call, work);
      running.set(name, answer);
      try {
        return await answer;
      } finally {
        running.delete(name);
      }
    },
  };
}
