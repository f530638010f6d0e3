import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { NODE_OPTIONS } from "@vision-platform/common/node-options";
import { baseEnvironment } from "./config.ts";
import { ROOT } from "./paths.ts";

const MAIN = join(ROOT, "services/gateway/src/db/backup/main.ts");
const run = promisify(execFile);

/**
 * Asks the gateway's own program for the database's part of a backup: it alone knows tables and migrations.
 * @param words `dump <folder>`, `check [--replace]` or `restore <folder>`.
 * @returns its answer, as it was printed.
 * @throws Error with what it said when it failed.
 */
export async function askDatabase(
  words: string[],
  databaseUrl: string,
  account?: { email: string; password: string },
): Promise<unknown> {
  const env = {
    ...baseEnvironment(),
    DATABASE_URL: databaseUrl,
    ...(account ? { ACCOUNT_EMAIL: account.email, ACCOUNT_PASSWORD: account.password } : {}),
  };
  try {
    const args = [...NODE_OPTIONS, MAIN, ...words];
    const { stdout } = await run(process.execPath, args, { env, maxBuffer: 1 << 26 });
    return JSON.parse(stdout);
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim();
    throw new Error(`the database: ${said || (error as Error).message}`);
  }
}
