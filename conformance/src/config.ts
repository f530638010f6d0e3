// The only file of this package that reads process.env.

/** The environment as it is, without servers that a person may have named: the kit brings its own. */
export function serverEnvironment(): Record<string, string> {
  const own = ["DATABASE_URL", "REDIS_URL", "S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"];
  const kept = Object.entries(process.env).filter(([name, value]) => value !== undefined && !own.includes(name));
  // The keeper starts what it is not given, and nobody here needs Postgres.
  return { ...(Object.fromEntries(kept) as Record<string, string>), DATABASE_URL: "postgres://none@127.0.0.1:1/none" };
}

/** The servers of a test run (deploy/laptop/src/test-services.ts), or null outside of one. */
export function testServers(): Record<string, string | undefined> | null {
  return process.env.TEST_S3_ENDPOINT ? process.env : null;
}
