"""Publishes `rate` log events a second for `seconds`; each carries the moment (ms since 1970) at which it was sent."""

import json
import os
import time
from datetime import UTC, datetime

import redis

config = json.loads(os.environ["CONFIG_JSON"])
stream = os.environ["EVENTS_STREAM"]
client = redis.Redis.from_url(os.environ["EVENTS_REDIS_URL"], lib_name=None, lib_version=None)


def publish(number: int, kind: str, data: dict[str, object]) -> None:
    ts = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = {"v": 1, "type": kind, "ts": ts, "src_seq": number, "data": data}
    client.xadd(stream, {"e": json.dumps(event)}, id=f"{number}-0")


# The sockets need a moment to subscribe.
time.sleep(config["wait_s"])
begin = time.time()
total = int(config["rate"] * config["seconds"])
for index in range(total):
    delay = begin + index / config["rate"] - time.time()
    if delay > 0:
        time.sleep(delay)
    publish(index + 1, "log", {"level": "info", "message": str(time.time() * 1000)})
publish(total + 1, "failed", {"code": "BAD_CONFIG", "message": "the benchmark is over", "retryable": False})
raise SystemExit(2)
