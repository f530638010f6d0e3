import { closeServer, drainOnSignal, listen, start } from "@vision-platform/common/lifecycle";
import { createLogger } from "@vision-platform/common/logger";
import { startTracing } from "@vision-platform/common/tracing";
import { createGatewayServer } from "./app.ts";
import { readConfig } from "./config.ts";
import { createGateway } from "./gateway.ts";
import { startHousekeeping } from "./housekeeping.ts";
import { startBackground } from "./reconcile/background.ts";
import { startTracker } from "./tracking/tracker.ts";

await start(async () => {
  const config = readConfig();
  const logger = createLogger("gateway", config.LOG_LEVEL);
  await startTracing("gateway", logger);
  const gateway = await createGateway(config, logger);
  const server = createGatewayServer(gateway);
  const background = startBackground(gateway);
  const housekeeping = startHousekeeping(gateway);
  const tracker = startTracker(gateway);
  const port = await listen(server, config.PORT, config.HOST);
  drainOnSignal(logger, async () => {
    gateway.startDraining();
    housekeeping.stop();
    await Promise.all([closeServer(server), background.stop(), tracker.stop()]);
    await gateway.close();
  });
  logger.info({ port, host: config.HOST }, "listening");
});
