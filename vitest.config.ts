import { defineConfig } from "vitest/config";

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
          exclude: never,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "e2e",
          globalSetup,
          include: ["e2e/**/*.test.ts"],
          exclude: never,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // Each file starts a whole platform; two at once would only slow each other down.
          fileParallelism: false,
        },
      },
    ],
  },
});
