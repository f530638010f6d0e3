import { createLogger } from "@vision-platform/common/logger";
import { afterAll, describe } from "vitest";
import { removeLaunchFolders } from "../../testing/launch-spec.ts";
import { launcherConformance } from "../../testing/launcher-conformance.ts";
import { SCRIPTED_COMMAND } from "../../testing/scripted-image.ts";
import { createDockerLauncher } from "./docker-launcher.ts";
import { engineAnswers, startTestAgent } from "./testing/agent-process.ts";

const agent = (await engineAnswers()) ? await startTestAgent() : null;
const logger = createLogger("test", "error");
const create = () =>
  createDockerLauncher(
    { FRAMEWORK: "scripted", TRAINERS_DIR: "/none", DOCKER_AGENT_SOCKET: agent?.socket ?? "/none" },
    logger,
  );

afterAll(async () => {
  removeLaunchFolders();
  await agent?.stop();
});

describe.skipIf(agent === null)("docker", () => {
  launcherConformance("docker", {
    create,
    adjust: (spec) => ({ ...spec, image: agent?.image ?? "", command: SCRIPTED_COMMAND }),
  });
});
