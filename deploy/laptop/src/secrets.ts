import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";

const schema = z.object({
  jwt_secret: z.string().min(32),
  internal_token: z.string().min(32),
  postgres_password: z.string().min(16),
  redis_password: z.string().min(16),
  s3_access_key_id: z.string().min(16),
  s3_secret_access_key: z.string().min(32),
  account_email: z.string(),
  account_password: z.string().min(12),
});

/** The generated secrets of this checkout; `account_*` is the first account, an administrator. */
export type Secrets = z.infer<typeof schema>;

/**
 * Reads the secrets, or generates them the first time. The file is only ever readable by its owner (mode 600).
 * @throws Error when the file is there but unusable: new secrets would lock us out of the data made with the old.
 */
export function ensureSecrets(file: string): Secrets {
  const text = readIfThere(file);
  if (text !== null) {
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new Error(
      `${file} is damaged (${parsed.error.issues[0]?.path.join(".")}): restore it, or remove the .vp folder`,
    );
  }
  const secrets = generateSecrets();
  mkdirSync(dirname(file), { recursive: true });
  writePrivately(file, `${JSON.stringify(secrets, null, 2)}\n`);
  return secrets;
}

/** Fresh random secrets. */
export function generateSecrets(): Secrets {
  const hex = (bytes: number) => randomBytes(bytes).toString("hex");
  return {
    jwt_secret: hex(32),
    internal_token: hex(32),
    postgres_password: hex(16),
    redis_password: hex(24),
    s3_access_key_id: `VP${hex(9).toUpperCase()}`,
    s3_secret_access_key: hex(20),
    account_email: "admin@localhost.localdomain",
    account_password: randomBytes(15).toString("base64url"),
  };
}

/** Replaces a file at once and for its owner's eyes only (mode 600). */
export function writePrivately(file: string, text: string): void {
  const fresh = `${file}.new`;
  const handle = openSync(fresh, "w", 0o600);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(fresh, file);
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
