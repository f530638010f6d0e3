import { drainOnSignal, start } from "@vision-platform/common/lifecycle";
import { createLogger } from "@vision-platform/common/logger";
import { startDockerAgent } from "./agent.ts";
import { readAgentConfig } from "./config.ts";

await start(async () => {
  const config = readAgentConfig();
  const logger = createLogger("docker-agent", config.LOG_LEVEL);
  const agent = await startDockerAgent(config, logger);
  drainOnSignal(logger, () => agent.stop());
  logger.info(
    { socket: config.DOCKER_AGENT_SOCKET, instance: config.PLATFORM_INSTANCE },
    "docker agent takes launches",
  );
});
