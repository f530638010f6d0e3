// node main.ts dump <folder> | check [--replace] | restore <folder>: the database's part of `./vp backup` and
// `./vp restore`. DATABASE_URL says which; the answer is one JSON line.
import { createPasswords } from "../../auth/passwords.ts";
import { readConfig } from "./config.ts";
import { dumpDatabase } from "./dump.ts";
import { obstacle, restoreDatabase } from "./restore.ts";
import { setPassword } from "./set-password.ts";

const [verb, argument = ""] = process.argv.slice(2);

async function answer(): Promise<object> {
  const { DATABASE_URL, ACCOUNT_EMAIL, ACCOUNT_PASSWORD } = readConfig();
  if (verb === "dump") return await dumpDatabase(DATABASE_URL, argument);
  if (verb === "check") return { obstacle: await obstacle(DATABASE_URL, argument === "--replace") };
  if (verb !== "restore") throw new Error("usage: main.ts dump <folder> | check [--replace] | restore <folder>");
  const restored = await restoreDatabase(DATABASE_URL, argument);
  if (ACCOUNT_EMAIL === undefined || ACCOUNT_PASSWORD === undefined) return restored;
  const hash = await createPasswords().hash(ACCOUNT_PASSWORD);
  return { ...restored, account: (await setPassword(DATABASE_URL, ACCOUNT_EMAIL, hash)) ? ACCOUNT_EMAIL : null };
}

try {
  process.stdout.write(`${JSON.stringify(await answer())}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
