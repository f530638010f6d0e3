/** Railway's config as code, as far as we use it: one file per service under deploy/railway/services/. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";

const FOLDER = resolve(import.meta.dirname, "..");

/** Railway refuses a deployment whose numbers are written as text. */
const seconds = z.int().min(0);

const ServiceConfig = z.strictObject({
  $schema: z.literal("https://railway.com/railway.schema.json"),
  build: z.strictObject({
    builder: z.literal("DOCKERFILE"),
    dockerfilePath: z.string().min(1),
    /** Which changes of the repository deploy the service again; `/` is the repository's root. */
    watchPatterns: z.array(z.string().startsWith("/")).min(1),
  }),
  deploy: z.strictObject({
    numReplicas: z.int().min(1),
    healthcheckPath: z.string().startsWith("/"),
    /** How long a new deployment may take to answer 200 there. */
    healthcheckTimeout: seconds,
    restartPolicyType: z.enum(["ON_FAILURE", "ALWAYS", "NEVER"]),
    restartPolicyMaxRetries: z.int().min(0),
    /** How long the old deployment goes on beside the new one before it gets SIGTERM. */
    overlapSeconds: seconds,
    /** From SIGTERM to SIGKILL. Railway's default is 0. */
    drainingSeconds: seconds,
  }),
});
export type ServiceConfig = z.infer<typeof ServiceConfig>;

/** The services of the project, by the names of their files. */
export function serviceNames(): string[] {
  return readdirSync(join(FOLDER, "services"))
    .map((file) => file.replace(/\.json$/, ""))
    .sort();
}

/** Throws ZodError for a field that Railway does not know or takes otherwise. */
export function readServiceConfig(service: string): ServiceConfig {
  return ServiceConfig.parse(JSON.parse(readFileSync(join(FOLDER, `services/${service}.json`), "utf8")));
}

/** The text of the variables that a person pastes for this service. */
export function readVariables(service: string): string {
  const files = service.startsWith("worker-") ? ["worker", service] : [service];
  return files.map((file) => readFileSync(join(FOLDER, `variables/${file}.env`), "utf8")).join("\n");
}
