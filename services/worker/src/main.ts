import { drainOnSignal, start } from "@vision-platform/common/lifecycle";
import { createLogger } from "@vision-platform/common/logger";
import { startTracing } from "@vision-platform/common/tracing";
import { readConfig } from "./config.ts";
import { drainPlan } from "./drain.ts";
import { startWorker } from "./worker.ts";

await start(async () => {
  const config = readConfig();
  const logger = createLogger("worker", config.LOG_LEVEL).child({ framework: config.FRAMEWORK });
  await startTracing("worker", logger);
  const worker = await startWorker(config, logger);
  drainOnSignal(logger, () => worker.stop(), drainPlan(config).exitMs);
  logger.info({ port: worker.port, worker_id: worker.workerId }, "worker takes jobs");
});
