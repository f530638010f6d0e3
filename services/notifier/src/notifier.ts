/** The notifier's parts put together: committed events in from Redis, replay from the gateway, out to Socket.IO. */
import { createServer } from "node:http";
import { createHealth, type Health } from "@vision-platform/common/health";
import { closeServer, listen } from "@vision-platform/common/lifecycle";
import type { Logger } from "@vision-platform/common/logger";
import { readOutStream } from "@vision-platform/common/out-stream";
import { checkRedis, connectRedis } from "@vision-platform/common/redis";
import express from "express";
import { Counter, Gauge, Histogram } from "prom-client";
import { BEACON_MS, startBeacon } from "./beacon.ts";
import type { NotifierConfig } from "./config.ts";
import { Feeds } from "./feeds/feeds.ts";
import { GatewayPort } from "./gateway.ts";
import { Reader } from "./readers/reader.ts";
import { BackPressure, type BackPressureLimits, LIMITS } from "./sockets/back-pressure.ts";
import { Broadcast } from "./sockets/broadcast.ts";
import { Connection } from "./sockets/connection.ts";
import { requireToken, watchExpiry } from "./sockets/handshake.ts";
import { createLiveServer, type LiveServer } from "./sockets/server.ts";
import { Subscriptions } from "./sockets/subscriptions.ts";

export interface Notifier {
  port: number;
  /** Hands the clients over to other notifiers (they reconnect), then ends. */
  stop(): Promise<void>;
}
/** Times and limits that tests shorten. */
export interface Pace {
  beaconMs: number;
  limits: BackPressureLimits;
}

/** Starts listening; rejects when the port is taken. */
export async function startNotifier(
  config: NotifierConfig,
  logger: Logger,
  pace: Pace = { beaconMs: BEACON_MS, limits: LIMITS },
): Promise<Notifier> {
  const redis = connectRedis(config.REDIS_URL, "command", { enableOfflineQueue: true });
  const gateway = new GatewayPort(config.GATEWAY_URL, config.INTERNAL_TOKEN);
  const health = createHealth("notifier", { gateway: () => gateway.check(), redis: () => checkRedis(redis) });
  const app = express().disable("x-powered-by").use(health.router);
  const http = createServer(app);
  const io = createLiveServer(http);

  const broadcast = new Broadcast(io);
  const source = {
    replay: (jobId: number, after: number) => gateway.replay(jobId, after),
    pause: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
  };
  const feeds = new Feeds(source, (jobId) => broadcast.outputOf(jobId));
  const backPressure = new BackPressure(feeds, logger, pace.limits);
  const subscriptions = new Map<Reader, Subscriptions>();

  requireToken(io, gateway);
  io.on("connection", (socket) => {
    const connection = new Connection(socket, broadcast);
    const reader = new Reader(socket.data.userId, connection);
    socket.data.reader = reader;
    const own = new Subscriptions(socket, feeds, gateway, logger);
    subscriptions.set(reader, own);
    backPressure.watch(reader, connection);
    socket.on("disconnect", () => {
      subscriptions.delete(reader);
      backPressure.forget(reader);
    });
    watchExpiry(socket, () => {
      own.endAll("token_expired");
      socket.disconnect(true);
    });
  });

  const received = new Counter({
    name: "vision_platform_live_events_received_total",
    help: "Committed events read from Redis",
    registers: [health.registry],
  });
  const lag = new Histogram({
    name: "vision_platform_live_lag_seconds",
    help: "From an event's place in Redis' stream, by Redis' clock, to this notifier",
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [health.registry],
  });
  const stream = readOutStream(connectRedis(config.REDIS_URL, "blocking"), logger, (event, appended) => {
    received.inc();
    lag.observe(Math.max(0, Date.now() - appended) / 1000);
    feeds.accept(event);
  });
  const beacon = startBeacon(
    {
      readers: () => subscriptions.keys(),
      end: (reader, ended) => subscriptions.get(reader)?.end(ended),
      announce: (head) => broadcast.head(head),
      feeds,
      gateway,
      logger,
    },
    pace.beaconMs,
  );
  addMetrics(health, {
    sockets: () => subscriptions.size,
    feeds: () => feeds.size,
    stalled: () => backPressure.figures.stalled,
    ended: () => backPressure.figures.ended,
  });

  const port = await listen(http, config.PORT, config.HOST);
  return {
    port,
    async stop() {
      health.startDraining();
      beacon.stop();
      await stream.stop();
      await handOver(io);
      backPressure.stop();
      await Promise.all([io.close(), closeServer(http)]);
      redis.disconnect();
    },
  };
}

/** Lets go of the clients in small groups, so that they do not all arrive elsewhere in the same moment. */
async function handOver(io: LiveServer): Promise<void> {
  const sockets = [...io.of("/").sockets.values()];
  // Within 4 s, whatever their number.
  const group = Math.max(50, Math.ceil(sockets.length / 40));
  let count = 0;
  for (const socket of sockets) {
    // Closed below Socket.IO: clients take a server's `disconnect` as a wish not to come back.
    socket.conn.close();
    count += 1;
    if (count % group === 0) await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function addMetrics(health: Health, values: Record<"sockets" | "feeds" | "stalled" | "ended", () => number>): void {
  const registers = [health.registry];
  const gauges = {
    vision_platform_live_sockets: { help: "Connected clients", read: values.sockets },
    vision_platform_live_feeds: { help: "Jobs watched by somebody", read: values.feeds },
    vision_platform_live_stalled_sockets: { help: "Clients that do not keep up", read: values.stalled },
  };
  for (const [name, { help, read }] of Object.entries(gauges)) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  }
  new Counter({
    name: "vision_platform_live_slow_sockets_ended_total",
    help: "Connections ended because the client was too slow",
    registers,
    collect() {
      this.reset();
      this.inc(values.ended());
    },
  });
}
