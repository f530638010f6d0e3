import { defineConfig } from "vitest/config";
import { testLanes } from "./deploy/laptop/src/test-lanes.ts";

// One real Postgres, Redis and S3 for all tests of a run; see deploy/laptop/src/test-services.ts.
const globalSetup = ["deploy/laptop/src/test-services.ts"];
const never = ["**/node_modules/**", ".vp/**", "trainers/**"];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          globalSetup,
          include: ["{.ci,shared-contracts,services,deploy,bench,conformance}/**/*.test.ts"],
          exclude: [...never, "**/*.docker.test.ts"],
          setupFiles: ["deploy/laptop/src/test-lane.ts"],
          maxWorkers: testLanes(),
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "docker",
          globalSetup,
          // They say so and are skipped where no Docker engine answers.
          include: ["{services,deploy,conformance,e2e}/**/*.docker.test.ts"],
          exclude: never,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "kubernetes",
          globalSetup,
          // What `./vp test --kubernetes` runs: it needs a cluster.
          include: ["{services,e2e}/**/*.cluster-test.ts"],
          exclude: never,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // One node, few cores: two files at once would only slow each other down.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "e2e",
          globalSetup,
          include: ["e2e/**/*.test.ts"],
          exclude: [...never, "**/*.docker.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // Each file starts a whole platform; two at once would only slow each other down.
          fileParallelism: false,
        },
      },
    ],
  },
});
