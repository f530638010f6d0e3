/** Addresses as trainers in containers see them: what listens on the host's loopback has another name inside. */

/** Never a name of the public DNS. */
const INSIDE = "vision-platform.internal";
const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);
const DEFAULT_PORTS: Record<string, string> = { "http:": "80", "https:": "443", "redis:": "6379", "rediss:": "6379" };
/** Of a URL: everything before the host, the host with its port, the rest. */
const PARTS = /^([a-z]+:\/\/(?:[^/@]*@)?)([^/]+)(.*)$/;

export interface RelayedAddress {
  /** What trainers are told. */
  inside: string;
  /** The docker agent's word for it, a part of its RELAYS. */
  relay: string;
}

/**
 * An address of the loopback gets the name `<name>.vision-platform.internal`; any other one keeps its own, because
 * certificates and signatures hold for it. Throws TypeError when `address` is no URL.
 */
export function relayedAddress(name: string, address: string): RelayedAddress {
  const url = new URL(address);
  const port = url.port || (DEFAULT_PORTS[url.protocol] ?? "80");
  if (!LOOPBACK.has(url.hostname)) return { inside: address, relay: `${url.hostname}:${port}` };
  const host = `${name}.${INSIDE}`;
  // By its text: the URL class would add a slash here and escape a password there.
  const inside = address.replace(PARTS, (_all, before, _host, after) => `${before}${host}:${port}${after}`);
  return { inside, relay: `${host}:${port}=${url.hostname}:${port}` };
}

/** The doors of a platform: what its workers tell trainers, and the RELAYS of the docker agent. */
export function relayedDoors(doors: { gateway_url: string; redis_url: string; s3_endpoint: string }) {
  const gateway = relayedAddress("gateway", doors.gateway_url);
  const redis = relayedAddress("redis", doors.redis_url);
  const s3 = relayedAddress("s3", doors.s3_endpoint);
  return {
    worker: {
      TRAINER_GATEWAY_URL: gateway.inside,
      TRAINER_REDIS_URL: redis.inside,
      TRAINER_S3_ENDPOINT: s3.inside,
    },
    RELAYS: [gateway, redis, s3].map(({ relay }) => relay).join(","),
  };
}
