#!/usr/bin/env python
"""The trainer contract in one file: Python's standard library and boto3, no kit.

Trains a softmax regression on 16 x 16 grey pixels in plain Python: small, but real; it
learns, and it resumes to the bit. Read it from `main` downwards. It sends its events to stdout or over HTTP, and does
jobs of kind train only.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import platform
import random
import re
import signal
import struct
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SIDE = 16
FEATURES = SIDE * SIDE + 1  # and one for the bias
STEP_EVENT_S = 0.5
SAVE_EVERY_S = 2.0
STORAGE_PATIENCE_S = 20
EXIT_CODES = {
    "BAD_CONFIG": 2,
    "DATASET_INVALID": 3,
    "MODEL_UNAVAILABLE": 4,
    "STORAGE_FAILURE": 5,
    "DIVERGED": 10,
    "TRAINER_BUG": 70,
}
STOP_CODES = {"cancelled": 20, "preempted": 21, "timeout": 22}


class Failure(Exception):
    """A failure a person can act on: one of the contract's codes, and one sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Stopped(Exception):
    """The training ends early, as it was asked to; its checkpoint is up."""

    def __init__(self, reason: str, resume_uri: str | None) -> None:
        super().__init__(reason)
        self.reason, self.resume_uri = reason, resume_uri


class Replaced(Exception):
    """Another attempt has taken over (409): nothing is written or said any more."""


def main() -> int:
    """One job, from the environment to the exit code."""
    try:
        job = read_environment()
    except Failure as failure:
        print(f"{failure.code}: {failure}", file=sys.stderr)
        if door := Events.for_a_refusal():
            door.failed(failure)
        return EXIT_CODES[failure.code]
    stop = Stop(job)
    events = Events(job, stop)
    events.send("started", versions=versions(), device="cpu", world_size=1, effective_batch_size=job["BATCH_SIZE"])
    heart = threading.Event()
    threading.Thread(target=beat, args=(events, heart, job["HEARTBEAT_S"]), daemon=True).start()
    try:
        metrics, artifacts = train(job, events, stop, Store(job))
    except Replaced:
        return STOP_CODES["preempted"]
    except Stopped as stopped:
        heart.set()
        events.send("stopped", reason=stopped.reason, resume_uri=stopped.resume_uri)
        return STOP_CODES[stopped.reason]
    except Exception as error:
        known = error if isinstance(error, Failure) else Failure("TRAINER_BUG", f"{type(error).__name__}: {error}")
        traceback.print_exc()
        heart.set()
        events.failed(known)
        return EXIT_CODES[known.code]
    finally:
        heart.set()
        events.flush(30)
    events.send("succeeded", metrics=metrics, artifacts=artifacts)
    events.flush(30)
    return 0


# --- In: the environment ---------------------------------------------------------------------------------------------

TEXT, URI = r"\S{1,1000}", r"s3://[a-z0-9][a-z0-9.-]+/.+"
WHOLE, NUMBER = r"[1-9]\d{0,15}", r"\d{1,9}(\.\d{1,12})?(e-?\d{1,2})?"
# Variable → (pattern, default; None: it must be there).
VARIABLES: dict[str, tuple[str, str | None]] = {
    "CONTRACT_VERSION": ("1", None),
    "JOB_ID": (WHOLE, None),
    "ATTEMPT": (WHOLE, None),
    "JOB_KIND": ("train", None),
    "FRAMEWORK": ("bare", None),
    "TASK_TYPE": ("image_classification", None),
    "MODEL_NAME": ("softmax", None),
    "DATASET_URI": (URI, None),
    "OUTPUT_URI": (URI, None),
    "RESUME_URI": (URI, ""),
    "CONFIG_JSON": (r"(?s).{2,32768}", "{}"),
    "EPOCHS": (r"[1-9]\d{0,4}", None),
    "BATCH_SIZE": (r"[1-9]\d{0,4}", None),
    "LEARNING_RATE": (NUMBER, None),
    "SEED": (r"\d{1,15}", "0"),
    "EVENTS_MODE": ("stdout|http", None),
    "CALLBACK_URL": (r"https?://\S+", ""),
    "CALLBACK_TOKEN": (r"\S+", ""),
    "STORAGE_TYPE": ("minio|r2|s3", None),
    "STORAGE_BUCKET": (TEXT, None),
    "S3_ENDPOINT": (r"https?://\S+", None),
    "S3_REGION": (TEXT, "us-east-1"),
    "S3_ACCESS_KEY_ID": (TEXT, None),
    "S3_SECRET_ACCESS_KEY": (TEXT, None),
    "HEARTBEAT_S": (NUMBER, "10"),
    "MAX_RUNTIME_S": (NUMBER, "1e9"),
    "STOP_REASON_FILE": (r"/.*", ""),
}
SECRETS = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "CALLBACK_TOKEN")
NUMBERS: dict[str, Any] = {"EPOCHS": int, "BATCH_SIZE": int, "SEED": int, "JOB_ID": int, "ATTEMPT": int}
NUMBERS |= dict.fromkeys(("LEARNING_RATE", "HEARTBEAT_S", "MAX_RUNTIME_S"), float)


def read_environment() -> dict[str, Any]:
    """Every variable, checked; secrets are gone from os.environ afterwards. Raises BAD_CONFIG naming the bad ones."""
    job: dict[str, Any] = {}
    wrong = []
    for name, (pattern, default) in VARIABLES.items():
        value = os.environ.get(name) or default
        if value is None or (value != "" and not re.fullmatch(pattern, value)):
            found = (
                "nothing" if value is None else "a value that is not shown" if name in SECRETS else repr(value[:100])
            )
            wrong.append(f"{name}: found {found}, expected {pattern}.")
        else:
            job[name] = NUMBERS.get(name, str)(value)
    if wrong:
        raise Failure("BAD_CONFIG", " ".join(wrong))
    for name in SECRETS:
        os.environ.pop(name, None)
    try:
        job["config"] = {"momentum": 0.9, **json.loads(job["CONFIG_JSON"])}
        if set(job["config"]) != {"momentum"} or not 0 <= job["config"]["momentum"] < 1:
            raise ValueError("expected momentum, from 0 to below 1, and nothing else")
    except (ValueError, TypeError, RecursionError) as error:
        raise Failure("BAD_CONFIG", f"CONFIG_JSON: {error}.") from error
    if job["EVENTS_MODE"] == "http" and not (job["CALLBACK_URL"] and job["CALLBACK_TOKEN"]):
        raise Failure("BAD_CONFIG", "CALLBACK_URL, CALLBACK_TOKEN: found nothing, expected both for EVENTS_MODE=http.")
    return job


# --- Out: events -----------------------------------------------------------------------------------------------------


class Events:
    """Numbers events and sends them from a thread; a door that is down is asked again."""

    def __init__(self, job: dict[str, Any], stop: Stop | None) -> None:
        self._job, self._stop = job, stop
        self._waiting: list[dict[str, Any]] = []
        self._last_seq = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    @classmethod
    def for_a_refusal(cls) -> Events | None:
        """A door for the one event of a trainer that cannot begin; None where nobody knows which."""
        names = ("JOB_ID", "ATTEMPT")
        if os.environ.get("EVENTS_MODE") != "stdout" or not all(os.environ.get(name, "").isdigit() for name in names):
            return None
        return cls({"EVENTS_MODE": "stdout"}, None)

    def send(self, kind: str, /, **data: Any) -> None:
        """Hands an event over. Numbers that are not finite become null."""
        ts = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._changed:
            self._last_seq += 1
            event = {"v": 1, "type": kind, "ts": ts, "src_seq": self._last_seq, "data": finite(data)}
            self._waiting.append(event)
            self._changed.notify_all()

    def failed(self, failure: Failure) -> None:
        """The last word of a job that cannot go on."""
        retryable = failure.code == "STORAGE_FAILURE"
        self.send("failed", code=failure.code, message=str(failure)[:3000], retryable=retryable)
        self.flush(30)

    def flush(self, seconds: float) -> None:
        """Waits until everything is out, or nobody wants it any more."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._waiting and time.monotonic() < deadline and not (self._stop and self._stop.replaced):
                self._changed.wait(0.1)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                batch = self._waiting[:64]
            try:
                acked = self._write(batch) if self._job["EVENTS_MODE"] == "stdout" else self._post(batch)
            except (OSError, ValueError, KeyError) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code == 409 and self._stop:
                    self._stop.replaced = True
                    return
                time.sleep(0.5)
                continue
            with self._changed:
                self._waiting = [event for event in self._waiting if event["src_seq"] > acked]
                self._changed.notify_all()

    def _write(self, batch: list[dict[str, Any]]) -> int:
        for event in batch:
            sys.stdout.write("@event " + json.dumps(event) + "\n")
        sys.stdout.flush()
        return int(batch[-1]["src_seq"])

    def _post(self, batch: list[dict[str, Any]]) -> int:
        """To /event; the terminal one alone to /done. The answer says up to where everything has arrived."""
        done = batch[0]["type"] in ("succeeded", "failed", "stopped")
        if not done:
            batch = [event for event in batch if event["type"] not in ("succeeded", "failed", "stopped")]
        request = urllib.request.Request(
            f"{self._job['CALLBACK_URL'].rstrip('/')}/v1/jobs/{self._job['JOB_ID']}/{'done' if done else 'event'}",
            data=json.dumps(batch[0] if done else {"events": batch}).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._job['CALLBACK_TOKEN']}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(json.load(answer)["acked"])


def finite(value: Any) -> Any:
    """`value` with null for every number that JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list) else value


def beat(events: Events, ended: threading.Event, every_s: float) -> None:
    """A heartbeat every HEARTBEAT_S."""
    while not ended.wait(every_s):
        pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
        events.send("heartbeat", rss_bytes=pages * 4096)


class Stop:
    """Who asks to stop, and why: SIGTERM, the clock, another attempt."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._began, self._limit_s, self._file = time.monotonic(), job["MAX_RUNTIME_S"], job["STOP_REASON_FILE"]
        self._asked = False
        self.save_now = False
        self.replaced = False
        signal.signal(signal.SIGTERM, self._on_terminate)
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
        signal.signal(signal.SIGUSR1, self._on_save)

    def reason(self) -> str | None:
        """Why to stop, or None."""
        if self.replaced:
            raise Replaced
        if self._asked:
            told = Path(self._file).read_text().strip() if self._file and Path(self._file).exists() else ""
            return told if told in STOP_CODES else "cancelled"
        return "timeout" if time.monotonic() - self._began > self._limit_s else None

    def _on_terminate(self, number: int, frame: object) -> None:
        if self._asked:
            os._exit(143)
        self._asked = True

    def _on_save(self, number: int, frame: object) -> None:
        self.save_now = True


# --- Storage ---------------------------------------------------------------------------------------------------------


class Store:
    """Objects by their address. Every call is tried again for a while, then it is a STORAGE_FAILURE."""

    def __init__(self, job: dict[str, Any]) -> None:
        import boto3
        from botocore.config import Config

        config = Config(
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            connect_timeout=5,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._s3 = boto3.session.Session(job["S3_ACCESS_KEY_ID"], job["S3_SECRET_ACCESS_KEY"]).client(
            "s3", endpoint_url=job["S3_ENDPOINT"], region_name=job["S3_REGION"], config=config
        )

    def get(self, uri: str) -> bytes | None:
        """The whole object, or None when there is none."""
        content: bytes | None = self._patiently(uri, lambda at: self._s3.get_object(**at)["Body"].read())
        return content

    def put(self, uri: str, content: bytes) -> dict[str, Any]:
        """Uploads; returns the artifact that it is."""
        sha256 = hashlib.sha256(content).hexdigest()
        self._patiently(uri, lambda at: self._s3.put_object(**at, Body=content, Metadata={"sha256": sha256}))
        media_type = "application/json" if uri.endswith(".json") else "application/octet-stream"
        name = uri.rsplit("/", 1)[1]
        return {"name": name, "uri": uri, "sha256": sha256, "bytes": len(content), "media_type": media_type}

    def _patiently(self, uri: str, call: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        bucket, key = uri.removeprefix("s3://").split("/", 1)
        deadline = time.monotonic() + STORAGE_PATIENCE_S
        while True:
            try:
                return call({"Bucket": bucket, "Key": key})
            except (BotoCoreError, ClientError) as error:
                status = (getattr(error, "response", None) or {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if status == 404:
                    return None
                if status in (400, 401, 403) or time.monotonic() > deadline:
                    raise Failure("STORAGE_FAILURE", f"{uri}: {type(error).__name__} {status or ''}") from error
            time.sleep(1)


def read_dataset(store: Store, uri: str) -> tuple[list[str], dict[str, list[tuple[list[float], int]]]]:
    """(classes, split → [(features, label)]). Raises DATASET_INVALID for what is missing, damaged or of no use."""

    def verified(name: str, sha256: str) -> bytes:
        content = store.get(f"{uri.rstrip('/')}/{name}")
        if content is None or hashlib.sha256(content).hexdigest() != sha256:
            raise Failure("DATASET_INVALID", f"{uri}: {name} is missing, or not what the manifest says.")
        return content

    manifest = json.loads(store.get(f"{uri.rstrip('/')}/MANIFEST.json") or b"{}")
    if manifest.get("task_type") != "image_classification" or len(manifest["classes"]) < 2:
        raise Failure("DATASET_INVALID", f"{uri}: there is no classification dataset with two classes or more.")
    index = gzip.decompress(verified(manifest["samples"]["name"], manifest["samples"]["sha256"]))
    shards = {shard["name"]: verified(shard["name"], shard["sha256"]) for shard in manifest["shards"]}
    splits: dict[str, list[tuple[list[float], int]]] = {"train": [], "val": []}
    for line in index.splitlines():
        sample = json.loads(line)
        content = shards[sample["shard"]][sample["offset"] : sample["offset"] + sample["bytes"]]
        split = "val" if sample["split"] == "test" and "val" not in manifest["counts"] else sample["split"]
        splits.setdefault(split, []).append((features_of(content, sample["member"]), sample["label"]))
    if len(splits["train"]) < 2 or not splits["val"]:
        raise Failure("DATASET_INVALID", f"{uri}: two training images and one to validate with are the fewest.")
    return manifest["classes"], splits


def features_of(content: bytes, name: str) -> list[float]:
    """SIDE x SIDE grey values from -1 to 1 and a 1 for the bias; the nearest pixel is taken."""
    width, height, channels, rows = decode_png(content, name)
    grey = []
    for y in range(SIDE):
        row = rows[y * height // SIDE]
        for x in range(SIDE):
            at = (x * width // SIDE) * channels
            grey.append(sum(row[at : at + min(3, channels)]) / min(3, channels) / 127.5 - 1.0)
    return [*grey, 1.0]


def decode_png(content: bytes, name: str) -> tuple[int, int, int, list[bytearray]]:
    """(width, height, channels, rows of bytes) of a PNG with 8 bits a channel, not interlaced (PNG, section 9)."""
    try:
        if not content.startswith(b"\x89PNG\r\n\x1a\n"):
            raise ValueError("it is no PNG")
        width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", content[16:29])
        channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
        if depth != 8 or interlaced:
            raise ValueError("it has another depth than 8 bits, or is interlaced")
        packed, at = b"", 8
        while at < len(content):
            (length,) = struct.unpack(">I", content[at : at + 4])
            if content[at + 4 : at + 8] == b"IDAT":
                packed += content[at + 8 : at + 8 + length]
            at += length + 12
        data, stride = zlib.decompress(packed), width * channels + 1
        before = bytearray(width * channels)
        rows = []
        for y in range(height):
            row = bytearray(data[y * stride + 1 : (y + 1) * stride])
            unfilter(data[y * stride], row, before, channels)
            rows.append(row)
            before = row
    except (ValueError, KeyError, IndexError, struct.error, zlib.error) as error:
        raise Failure("DATASET_INVALID", f"{name} cannot be read: {error}.") from error
    return width, height, channels, rows


def unfilter(kind: int, row: bytearray, above: bytearray, channels: int) -> None:
    """Undoes one row's filter in place: 0 none, 1 left, 2 above, 3 mean, 4 Paeth."""
    for x in range(len(row)):
        left = row[x - channels] if x >= channels else 0
        up, corner = above[x], above[x - channels] if x >= channels else 0
        if kind == 4:
            p = left + up - corner
            nearest = min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))[2]
            row[x] = (row[x] + nearest) & 255
        elif kind:
            row[x] = (row[x] + (left, up, (left + up) // 2)[kind - 1]) & 255


# --- The model -------------------------------------------------------------------------------------------------------


def train(
    job: dict[str, Any], events: Events, stop: Stop, store: Store
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """The training loop. Returns (metrics, artifacts) once everything is uploaded, RESULT.json last."""
    classes, splits = read_dataset(store, job["DATASET_URI"])
    size, epochs, rate = job["BATCH_SIZE"], job["EPOCHS"], job["LEARNING_RATE"]
    steps = math.ceil(len(splits["train"]) / size)
    output = job["OUTPUT_URI"].rstrip("/")
    asked = {name: job[name] for name in ("MODEL_NAME", "EPOCHS", "BATCH_SIZE", "LEARNING_RATE", "SEED", "config")}
    store.put(f"{output}/config.json", json.dumps(asked).encode())
    store.put(f"{output}/env.json", json.dumps(versions()).encode())
    checkpoints = Checkpoints(job, events, store, classes, asked)
    count = len(classes) * FEATURES
    state: dict[str, Any] = {
        "epoch": 0,
        "step": 0,
        "update": 0,
        "loss": 0.0,
        "best": -1.0,
        "best_weights": [0.0] * count,
        "history": [],
    }
    weights, momentum = [0.0] * count, [0.0] * count
    if found := checkpoints.resume():
        weights, (state, momentum) = unpack(found["model.safetensors"], count), json.loads(found["state.json"])
        events.send("log", level="info", message=f"Resumed at epoch {state['epoch'] + 1}, step {state['step']}")
    events.send("phase", name="training")
    next_event = last_save = 0.0
    began, first = time.monotonic(), state["update"]

    def save(*, best: bool = False, final: bool = False) -> None:
        nonlocal last_save
        last_save = time.monotonic()
        files = {"model.safetensors": pack(weights, len(classes)), "state.json": json.dumps([state, momentum]).encode()}
        checkpoints.save(files, state, ["last", "best"] if best else ["last"], final=final)

    unsaved_best = False
    while state["epoch"] < epochs:
        order = list(range(len(splits["train"])))
        random.Random(job["SEED"] * 1_000_003 + state["epoch"]).shuffle(order)
        while state["step"] < steps:
            batch = [splits["train"][at] for at in order[state["step"] * size : (state["step"] + 1) * size]]
            loss = update(weights, momentum, batch, len(classes), rate, job["config"]["momentum"])
            if not math.isfinite(loss):
                raise Failure("DIVERGED", f"The loss is no number any more (step {state['update'] + 1}).")
            state["loss"] += loss / steps
            state["step"] += 1
            state["update"] += 1
            now = time.monotonic()
            if now >= next_event:
                next_event = now + STEP_EVENT_S
                pace = (state["update"] - first) / max(now - began, 1e-9)
                left = epochs * steps - state["update"]
                events.send(
                    "progress",
                    epoch=state["epoch"] + 1,
                    epochs=epochs,
                    step=state["step"],
                    steps=steps,
                    pct=100 * state["update"] / (epochs * steps),
                    eta_s=left / pace,
                    samples_per_s=pace * size,
                )
            if reason := stop.reason():
                save()
                raise Stopped(reason, f"{output}/checkpoints/")
            if stop.save_now:
                stop.save_now = False
                save()
        state["epoch"], state["step"] = state["epoch"] + 1, 0
        values = {"train/loss": state["loss"], "train/lr": rate, **measure(weights, splits["val"], len(classes))}
        state["loss"] = 0.0
        state["history"].append(values)
        for split in ("train", "val"):
            mine = {name: value for name, value in values.items() if name.startswith(split)}
            events.send("metrics", scope="epoch", split=split, epoch=state["epoch"], step=state["update"], values=mine)
        if values["val/top1"] > state["best"]:
            state["best"], state["best_weights"], unsaved_best = values["val/top1"], list(weights), True
        if time.monotonic() - last_save > SAVE_EVERY_S and unsaved_best:
            save(best=values["val/top1"] == state["best"])
            unsaved_best = False
    save(best=True, final=True)
    return finish(job, store, state, classes)


def update(
    weights: list[float],
    momentum: list[float],
    batch: list[tuple[list[float], int]],
    classes: int,
    rate: float,
    inertia: float,
) -> float:
    """One step of gradient descent with momentum on the mean cross-entropy; returns that mean, before the step."""
    slopes = [0.0] * len(weights)
    loss = 0.0
    for features, label in batch:
        shares = softmax(weights, features, classes)
        loss -= math.log(max(shares[label], 1e-300)) / len(batch)
        for index in range(classes):
            error = (shares[index] - (index == label)) / len(batch)
            offset = index * FEATURES
            for at, value in enumerate(features):
                slopes[offset + at] += error * value
    for at, slope in enumerate(slopes):
        momentum[at] = inertia * momentum[at] + slope
        weights[at] -= rate * momentum[at]
    return loss


def softmax(weights: list[float], features: list[float], classes: int) -> list[float]:
    """The share of each class, summing to 1."""
    scores = [
        sum(w * f for w, f in zip(weights[index * FEATURES : (index + 1) * FEATURES], features, strict=True))
        for index in range(classes)
    ]
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / sum(powers) for power in powers]


def measure(weights: list[float], samples: list[tuple[list[float], int]], classes: int) -> dict[str, float]:
    """Mean cross-entropy and top-1 accuracy as a share."""
    shares = [(softmax(weights, features, classes), label) for features, label in samples]
    loss = -sum(math.log(max(each[label], 1e-300)) for each, label in shares) / len(shares)
    return {"val/loss": loss, "val/top1": sum(each.index(max(each)) == label for each, label in shares) / len(shares)}


def pack(weights: list[float], classes: int) -> bytes:
    """A safetensors file with one tensor: length of the header, header, little-endian numbers."""
    body = struct.pack(f"<{len(weights)}d", *weights)
    shape = [classes, FEATURES]
    header = json.dumps({"weights": {"dtype": "F64", "shape": shape, "data_offsets": [0, len(body)]}}).encode()
    return struct.pack("<Q", len(header)) + header + body


def unpack(content: bytes, count: int) -> list[float]:
    """What `pack` wrote."""
    (length,) = struct.unpack_from("<Q", content)
    return list(struct.unpack_from(f"<{count}d", content, 8 + length))


class Checkpoints:
    """Folders under checkpoints/: files first, MANIFEST.json last, then the pointers."""

    def __init__(
        self, job: dict[str, Any], events: Events, store: Store, classes: list[str], asked: dict[str, Any]
    ) -> None:
        self._job, self._events, self._store, self._classes = job, events, store, classes
        self._base = job["OUTPUT_URI"].rstrip("/") + "/checkpoints"
        self._hash = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        self._model = {"framework": "bare", "model_name": job["MODEL_NAME"], "task_type": job["TASK_TYPE"]}
        self._last: str | None = None

    def save(self, files: dict[str, bytes], state: dict[str, Any], pointers: list[str], *, final: bool) -> None:
        """Uploads one checkpoint and moves the pointers to it."""
        uri = f"{self._base}/{state['update']:08d}-a{self._job['ATTEMPT']}{'-end' if final else ''}"
        listed = [self._store.put(f"{uri}/{name}", content) for name, content in files.items()]
        manifest = {
            "v": 1,
            "job_id": self._job["JOB_ID"],
            "attempt": self._job["ATTEMPT"],
            "epoch": state["epoch"],
            "step": state["update"],
            "files": [{name: entry[name] for name in ("name", "bytes", "sha256")} for entry in listed],
            "versions": versions(),
            "config_hash": self._hash,
            "classes": self._classes,
            "metrics": state["history"][-1] if state["history"] else {},
            "model": self._model,
        }
        stored = self._store.put(f"{uri}/MANIFEST.json", json.dumps(manifest).encode())
        about = {"epoch": state["epoch"], "step": state["update"]}
        previous, self._last = self._last, uri
        for name in pointers:
            pointer = {"v": 1, "uri": uri, "manifest_sha256": stored["sha256"], **about, "previous": previous}
            self._store.put(f"{self._base}/{name}.json", json.dumps(pointer).encode())
            self._events.send(
                "checkpoint",
                kind=name,
                uri=uri,
                sha256=stored["sha256"],
                bytes=sum(entry["bytes"] for entry in listed),
                metrics=manifest["metrics"],
                **about,
            )

    def resume(self) -> dict[str, bytes] | None:
        """The files of the newest whole checkpoint behind RESUME_URI, or None when there is not one."""
        if not self._job["RESUME_URI"]:
            return None
        uri = self._job["RESUME_URI"].rstrip("/")
        pointer = self._store.get(uri if uri.endswith(".json") else f"{uri}/last.json")
        while pointer is not None:
            told = json.loads(pointer)
            for folder in (told["uri"], told.get("previous")):
                files = self._whole(folder) if folder else None
                if files is not None:
                    self._last = folder
                    return files
            return None
        return None

    def _whole(self, folder: str) -> dict[str, bytes] | None:
        """The files of a whole checkpoint, None for a torn one. Raises BAD_CONFIG for other classes or settings."""
        content = self._store.get(f"{folder}/MANIFEST.json")
        if content is None:
            return None
        manifest = json.loads(content)
        files = {}
        for entry in manifest["files"]:
            body = self._store.get(f"{folder}/{entry['name']}")
            if body is None or hashlib.sha256(body).hexdigest() != entry["sha256"]:
                return None
            files[entry["name"]] = body
        if manifest["classes"] != self._classes or manifest["config_hash"] != self._hash:
            raise Failure("BAD_CONFIG", f"RESUME_URI: {folder} is of other classes or settings.")
        return files


def finish(
    job: dict[str, Any], store: Store, state: dict[str, Any], classes: list[str]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Artifacts, then RESULT.json."""
    output = job["OUTPUT_URI"].rstrip("/")
    best = max(state["history"], key=lambda values: values["val/top1"])
    rows = "".join(json.dumps({"epoch": number, **row}) + "\n" for number, row in enumerate(state["history"], 1))
    artifacts = [
        store.put(f"{output}/artifacts/model.safetensors", pack(state["best_weights"], len(classes))),
        store.put(f"{output}/artifacts/labels.json", json.dumps(classes).encode()),
        store.put(f"{output}/metrics.jsonl", rows.encode()),
    ]
    result = {"v": 1, "job_id": job["JOB_ID"], "attempt": job["ATTEMPT"], "kind": "train", "status": "succeeded"}
    store.put(f"{output}/RESULT.json", json.dumps({**result, "metrics": best, "artifacts": artifacts}).encode())
    return best, artifacts


def versions() -> dict[str, str]:
    """What the numbers were computed with."""
    return {"python": platform.python_version(), "bare": "1"}


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
