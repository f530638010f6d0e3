/** For health checks of containers: ends with 0 when the agent and its engine answer, else with 1. */
import { request } from "node:http";
import { readAgentSocket } from "./config.ts";

const LIMIT_MS = 5_000;

const asked = request({ socketPath: readAgentSocket(), path: "/health", timeout: LIMIT_MS }, (response) => {
  response.resume();
  process.exitCode = response.statusCode === 200 ? 0 : 1;
});
asked.on("timeout", () => asked.destroy(new Error(`no answer within ${LIMIT_MS} ms`)));
asked.on("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
asked.end();
