/** Forgets what is over: answers kept for repeated requests, refresh tokens, uploads that were never completed. */
import { deleteExpiredTokens } from "./auth/refresh-tokens.repository.ts";
import { expireUploads } from "./datasets/uploads.service.ts";
import type { Gateway } from "./gateway.ts";
import { deleteOldKeys } from "./http/idempotency.repository.ts";

const EVERY_MS = 10 * 60_000;

/** Each rule on its own: one that fails does not stop the others. */
export async function cleanUp(gateway: Gateway): Promise<void> {
  const rules = [() => deleteOldKeys(gateway.db), () => deleteExpiredTokens(gateway.db), () => expireUploads(gateway)];
  for (const rule of rules) {
    try {
      await rule();
    } catch (error) {
      gateway.logger.warn({ err: error }, "housekeeping failed, it is tried again later");
    }
  }
}

/** Runs every ten minutes; any number of gateways may do so. */
export function startHousekeeping(gateway: Gateway): { stop(): void } {
  const timer = setInterval(() => void cleanUp(gateway), EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
