import { drainOnSignal, start } from "@vision-platform/common/lifecycle";
import { createLogger } from "@vision-platform/common/logger";
import { startTracing } from "@vision-platform/common/tracing";
import { readConfig } from "./config.ts";
import { startNotifier } from "./notifier.ts";

await start(async () => {
  const config = readConfig();
  const logger = createLogger("notifier", config.LOG_LEVEL);
  await startTracing("notifier", logger);
  const notifier = await startNotifier(config, logger);
  drainOnSignal(logger, () => notifier.stop());
  logger.info({ port: notifier.port, host: config.HOST }, "notifier is listening");
});
