import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { VpPaths } from "./paths.ts";
import type { Secrets } from "./secrets.ts";

/**
 * Registers the first account, an administrator, through the public API, once for each database. Afterwards a mark is
 * kept so that a warm start asks nothing.
 * @param database which database it is for (DATABASE_URL of a given one, else the embedded one's name).
 * @throws Error when the gateway refuses for another reason than that the account, or another first one, exists.
 */
export async function ensureFirstAccount(
  gatewayUrl: string,
  secrets: Secrets,
  paths: VpPaths,
  database: string,
): Promise<void> {
  const mark = join(paths.dir, "account");
  const wanted = createHash("sha256").update(`${database}\n${secrets.account_email}`).digest("hex");
  if (readIfThere(mark) === wanted) return;
  const answer = await fetch(`${gatewayUrl}/api/v1/auth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: secrets.account_email, password: secrets.account_password, name: "Administrator" }),
    signal: AbortSignal.timeout(15_000),
  });
  // 409: this account is there. 403: registration is closed, so somebody else was first in a database that was given.
  if (!answer.ok && answer.status !== 409 && answer.status !== 403) {
    throw new Error(`the first account was refused: ${answer.status} ${(await answer.text()).slice(0, 500)}`);
  }
  writeFileSync(mark, wanted);
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
