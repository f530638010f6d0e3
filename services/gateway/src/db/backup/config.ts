/** What `main.ts` of this folder is given; the only place here that reads the environment. */
import { loadConfig, setting } from "@vision-platform/common/config";
import { z } from "zod";

const schema = z.object({
  DATABASE_URL: setting.postgresUrl,
  ACCOUNT_EMAIL: z.string().optional().describe("an account whose password is set anew after a restore"),
  ACCOUNT_PASSWORD: z.string().min(8).optional().describe("its new password"),
});

/** Throws ConfigError, which names every wrong variable. */
export function readConfig(environment: Record<string, string | undefined> = process.env): z.output<typeof schema> {
  return loadConfig("the database's backup", schema, environment);
}
