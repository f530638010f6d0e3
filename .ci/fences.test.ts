import { describe, expect, it } from "vitest";
import { crossings } from "./fences.ts";

describe("fences", () => {
  it.each([
    ["services/gateway/src/jobs/jobs.service.ts", 'import { Kysely } from "kysely";'],
    ["services/worker/src/supervision/run.ts", 'import pg from "pg";'],
    ["services/notifier/src/main.ts", 'import { Queue } from "bullmq";'],
    ["services/gateway/src/app.ts", 'import { Server } from "socket.io";'],
    ["services/worker/src/main.ts", 'const docker = await import("dockerode");'],
    ["services/cli/src/main.ts", 'import { start } from "@vision-platform/gateway/app";'],
  ])("stops %s", (path, source) => {
    expect(crossings(path, source)).toHaveLength(1);
  });

  it.each([
    ["services/gateway/src/jobs/jobs.repository.ts", 'import { sql } from "kysely";'],
    ["services/gateway/src/dispatch/dispatcher.ts", 'import { Queue } from "bullmq";'],
    ["services/notifier/src/server.ts", 'import { Server } from "socket.io";'],
    ["services/cli/src/watch.ts", 'import { io } from "socket.io-client";'],
  ])("lets %s pass", (path, source) => {
    expect(crossings(path, source)).toEqual([]);
  });
});
