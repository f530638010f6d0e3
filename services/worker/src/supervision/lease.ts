/** Keeps the lease of an attempt, on a clock of its own that needs no Redis. */
import type { Logger } from "@vision-platform/common/logger";
import { type AttemptApi, isFenced } from "../attempt-api.ts";

export const RENEW_EVERY_MS = 3_000;

export interface Lease {
  /** A hint came that something waits for us. */
  renewNow(): void;
  stop(): void;
}

export interface LeaseListener {
  /** The user wants the job cancelled. Called with every answer that says so. */
  onCancel(): void;
  /** Somebody else owns the attempt. Called once. */
  onLost(): void;
}

/** While the gateway is away nothing happens: the training goes on, and so do the tries. */
export function keepLease(api: AttemptApi, listener: LeaseListener, logger: Logger): Lease {
  let stopped = false;
  let renewing = false;
  let again = false;
  let away = false;
  const timer = setInterval(() => void renew(), RENEW_EVERY_MS);

  function stop(): void {
    stopped = true;
    clearInterval(timer);
  }

  async function renew(): Promise<void> {
    if (stopped) return;
    if (renewing) {
      again = true;
      return;
    }
    renewing = true;
    try {
      const { cancel } = await api.renew();
      if (away) logger.info("the gateway answers again");
      away = false;
      if (cancel && !stopped) listener.onCancel();
    } catch (error) {
      if (stopped) return;
      if (isFenced(error)) {
        stop();
        listener.onLost();
      } else {
        if (!away) logger.warn({ err: error }, "lease not renewed; the training goes on");
        away = true;
      }
    } finally {
      renewing = false;
      if (again) {
        again = false;
        void renew();
      }
    }
  }

  return { renewNow: () => void renew(), stop };
}
