import { createLogger } from "@vision-platform/common/logger";
import { connectRedis } from "@vision-platform/common/redis";
import { inStream, streamUser } from "@vision-platform/contracts/names";
import { Redis } from "ioredis";
import { afterAll, expect, it } from "vitest";
import { testServices } from "../testing/config.ts";
import { eventually } from "../testing/platform.ts";
import { createStreamAccess } from "./stream-access.ts";

const url = testServices().TEST_REDIS_URL;
const admin = connectRedis(url, "command", { enableOfflineQueue: true });
const secret = "a secret that all workers share!!";
const logger = createLogger("test", "silent");
const access = createStreamAccess(admin, url, "auto", secret, logger);
const clients: Redis[] = [];
let job_id = 700_000 + (process.pid % 1_000) * 10;

afterAll(() => {
  for (const client of [...clients, admin]) client.disconnect();
});

async function openDoor() {
  job_id += 1;
  const ids = { job_id, attempt: 1 };
  const door = await access.open(ids);
  if (door.mode !== "redis") throw new Error("this Redis has no ACL");
  const client = new Redis(door.url, { enableReadyCheck: false, maxRetriesPerRequest: 0, retryStrategy: () => 100 });
  client.on("error", () => undefined);
  clients.push(client);
  return { ids, client, url: door.url, key: inStream(job_id, 1) };
}

it("lets a trainer append to its stream and do nothing else", async () => {
  const { ids, client, key } = await openDoor();
  expect(await client.xadd(key, "1-0", "e", "{}")).toBe("1-0");
  const forbidden: [string, ...string[]][] = [
    ["XADD", inStream(ids.job_id, 2), "*", "e", "{}"],
    ["XADD", "vp:out:0", "*", "e", "{}"],
    ["XREAD", "STREAMS", key, "0"],
    ["XRANGE", key, "-", "+"],
    ["DEL", key],
    ["GET", "vp:anything"],
    ["SET", key, "1"],
    ["KEYS", "*"],
    ["FLUSHALL"],
    ["CONFIG", "GET", "*"],
    ["ACL", "LIST"],
    ["PUBLISH", "vp:ctl", "{}"],
    ["EVAL", "return 1", "0"],
    ["INFO"],
  ];
  for (const [command, ...args] of forbidden) {
    await expect(client.call(command, ...args), `${command} ${args.join(" ")}`).rejects.toThrow(/NOPERM|permission/i);
  }
  expect(await admin.xlen(key)).toBe(1);
});

it("takes user and stream away at the end", async () => {
  const { ids, client, key } = await openDoor();
  await client.xadd(key, "1-0", "e", "{}");
  await access.close(ids);
  expect(await admin.exists(key)).toBe(0);
  expect(await admin.call("ACL", "GETUSER", streamUser(ids.job_id, 1))).toBeNull();
});

it("makes the users again when Redis has forgotten them and the connection comes back", async () => {
  const { ids, client, key } = await openDoor();
  const own = await admin.client("ID");
  await admin.call("ACL", "DELUSER", streamUser(ids.job_id, 1));
  const other = connectRedis(url, "command", { enableOfflineQueue: true });
  await other.call("CLIENT", "KILL", "ID", String(own));
  other.disconnect();
  const id = await eventually(() =>
    client.xadd(key, "1-0", "e", "{}").then(
      (added) => added ?? undefined,
      () => undefined,
    ),
  );
  expect(id).toBe("1-0");
});

it("opens the HTTP door when it must not make users, and says why when it has to", async () => {
  const user = `vp-test-${process.pid}`;
  await admin.call("ACL", "SETUSER", user, "reset", "on", ">limited-password", "~*", "+@all", "-acl");
  const limitedUrl = new URL(url);
  limitedUrl.username = user;
  limitedUrl.password = "limited-password";
  const limited = connectRedis(limitedUrl.href, "command", { enableOfflineQueue: true });
  clients.push(limited);
  const ids = { job_id: 1, attempt: 1 };
  expect(await createStreamAccess(limited, limitedUrl.href, "auto", secret, logger).open(ids)).toEqual({
    mode: "http",
  });
  await expect(createStreamAccess(limited, limitedUrl.href, "redis", secret, logger).open(ids)).rejects.toThrow(
    /NOPERM|permission/i,
  );
  expect(await createStreamAccess(limited, limitedUrl.href, "http", secret, logger).open(ids)).toEqual({
    mode: "http",
  });
  await admin.call("ACL", "DELUSER", user);
});

it("opens the same door again for the worker that takes an attempt over", async () => {
  const { ids, client, url: door, key } = await openDoor();
  access.leave(ids);
  const other = createStreamAccess(admin, url, "auto", secret, logger);
  expect(await other.reopen(ids)).toEqual({ mode: "redis", url: door });
  expect(await client.xadd(key, "1-0", "e", "{}")).toBe("1-0");
  await other.close(ids);
});
