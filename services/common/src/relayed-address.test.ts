import { expect, it } from "vitest";
import { relayedAddress, relayedDoors } from "./relayed-address.ts";

it.each([
  ["redis://:p%40ss@127.0.0.1:6390/3", "redis://:p%40ss@r.vision-platform.internal:6390/3", "6390=127.0.0.1:6390"],
  ["http://localhost", "http://r.vision-platform.internal:80", "80=localhost:80"],
  ["http://127.0.0.1:80/", "http://r.vision-platform.internal:80/", "80=127.0.0.1:80"],
  ["redis://localhost:6379", "redis://r.vision-platform.internal:6379", "6379=localhost:6379"],
])("gives %s of the loopback a name inside, with the same port, password and path", (address, inside, relay) => {
  expect(relayedAddress("r", address)).toEqual({ inside, relay: `r.vision-platform.internal:${relay}` });
});

it("keeps the name of a server elsewhere: its certificate and its signatures are for that name", () => {
  const address = "https://account.r2.example.org";
  expect(relayedAddress("s3", address)).toEqual({ inside: address, relay: "account.r2.example.org:443" });
});

it("tells workers and agent the same three doors", () => {
  const { worker, RELAYS } = relayedDoors({
    gateway_url: "http://127.0.0.1:8080",
    redis_url: "redis://localhost:6379",
    s3_endpoint: "http://127.0.0.1:9000",
  });
  const hosts = Object.values(worker).map((address) => address.replace(/^[a-z]+:\/\//, ""));
  expect(RELAYS.split(",").map((relay) => relay.split("=")[0])).toEqual(hosts);
});
