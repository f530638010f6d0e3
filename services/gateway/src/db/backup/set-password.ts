import pg from "pg";

/** Gives an account a new password hash; false when nobody has that e-mail. */
export async function setPassword(url: string, email: string, passwordHash: string): Promise<boolean> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    application_name: "vp-restore",
  });
  await client.connect();
  try {
    const { rowCount } = await client.query("update users set password_hash = $1 where email = $2", [
      passwordHash,
      email,
    ]);
    return rowCount === 1;
  } finally {
    await client.end();
  }
}
