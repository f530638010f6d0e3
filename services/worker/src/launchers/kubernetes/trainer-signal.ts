/**
 * SIGTERM for a trainer in its pod.
 *
 * Kubernetes itself signals only while it deletes a pod, and with the pod go its exit code and its log: whoever loses the
 * connection in those seconds never learns how the trainer ended. So the signal is sent from inside, and the pod stays.
 */
import { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Exec, type V1Status } from "@kubernetes/client-node";
import type { Cluster } from "./cluster.ts";
import { CONTAINER } from "./names.ts";

const LIMIT_MS = 10_000;
const TRIES = 4;
const PAUSE_MS = 1_000;
const NO_CONNECTION = /ECONN|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|socket|no connection/i;
/** The first process passes it on to the trainer (tini), or is the trainer. */
const COMMAND = ["/bin/sh", "-c", "kill -TERM 1"];

/** `unknown`: it may have arrived all the same, and a second one would mean "at once". */
type Delivery = "sent" | "unknown" | { refused: string };

/** Tries again while there is no connection at all. Never rejects. */
export async function sendTerm(cluster: Cluster, pod: string): Promise<Delivery> {
  for (let tries = 1; ; tries += 1) {
    const delivery = await sendOnce(cluster, pod);
    if (typeof delivery === "string" || tries === TRIES || !NO_CONNECTION.test(delivery.refused)) return delivery;
    await sleep(PAUSE_MS);
  }
}

async function sendOnce(cluster: Cluster, pod: string): Promise<Delivery> {
  let said = "";
  const output = new Writable({
    write(piece, _encoding, done) {
      said = `${said}${String(piece)}`.slice(0, 500);
      done();
    },
  });
  return await new Promise((resolve) => {
    setTimeout(() => resolve("unknown"), LIMIT_MS).unref();
    const told = (status: V1Status) =>
      resolve(status.status === "Success" ? "sent" : { refused: said || status.message || "the command failed" });
    new Exec(cluster.config)
      .exec(cluster.namespace, pod, CONTAINER, COMMAND, output, output, null, false, told)
      .then((socket) => {
        // Closed without a word about the outcome: the trainer may have ended before the shell did.
        socket.on("close", () => resolve("unknown"));
      })
      .catch((error: { message?: string }) => resolve({ refused: error.message || "no connection" }));
  });
}
