/** A worker like main.ts, whose trainers outlive it: the detached launcher of tests. */
import { drainOnSignal, start } from "@vision-platform/common/lifecycle";
import { createLogger } from "@vision-platform/common/logger";
import { readConfig } from "../config.ts";
import { startWorker } from "../worker.ts";
import { detachedFolder } from "./config.ts";
import { createDetachedLauncher } from "./detached-launcher.ts";

await start(async () => {
  const config = readConfig();
  const logger = createLogger("worker", config.LOG_LEVEL);
  const launcher = createDetachedLauncher(detachedFolder());
  const worker = await startWorker(config, logger, async () => ({ launcher, reason: "a test" }));
  drainOnSignal(logger, () => worker.stop());
  logger.info({ port: worker.port }, "worker takes jobs");
});
