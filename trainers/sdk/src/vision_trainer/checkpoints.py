"""Checkpoints go up in the background: folder, MANIFEST.json last, then the pointers last.json and best.json."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from .contract_json import to_contract_json
from .contracts import CheckpointManifest, CheckpointPointer, File, Model
from .events import EventPublisher
from .failures import AttemptReplaced, FailureCode, TrainerFailure
from .storage import Storage, join_uri, sha256_of_file

log = logging.getLogger(__name__)

MANIFEST_NAME = "MANIFEST.json"
# Short epochs must not turn training into uploading: at most a tenth of the time goes into uploads.
_SHORTEST_INTERVAL_S = 3.0
_UPLOAD_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class CheckpointIdentity:
    """What a checkpoint must agree with to be resumed, and who writes it."""

    job_id: int
    attempt: int
    config_hash: str
    classes: list[str]
    versions: dict[str, str]
    # framework, model_name, task_type, and whatever else the trainer needs to build the model again.
    model: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Snapshot:
    """A finished local folder of checkpoint files. The store owns it once submitted, and deletes it.

    `best` also moves best.json here. `periodic` marks a save in the middle of an epoch.
    """

    folder: Path
    epoch: int
    step: int
    metrics: Mapping[str, float | None]
    best: bool = False
    periodic: bool = False


@dataclass(slots=True)
class _Waiting:
    """The newest snapshot for each pointer; both may be the same."""

    last: Snapshot | None = None
    best: Snapshot | None = None
    in_flight: list[Snapshot] = field(default_factory=list)


def hash_config(config: Mapping[str, object]) -> str:
    """sha256 of the settings in canonical JSON: two runs with the same hash may continue each other."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class CheckpointStore:
    """Uploads snapshots in a thread of its own and keeps the last two and the best."""

    def __init__(
        self,
        storage: Storage,
        publisher: EventPublisher,
        identity: CheckpointIdentity,
        output_uri: str,
        work_dir: Path,
    ) -> None:
        self._storage = storage
        self._publisher = publisher
        self._identity = identity
        self._base_uri = join_uri(output_uri, "checkpoints")
        self._work_dir = work_dir
        self._waiting = _Waiting()
        self._pointers: dict[str, CheckpointPointer] = {}
        # What the event about each pointer said besides its kind.
        self._told: dict[str, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._hurry = False
        self._closed = False
        self._not_before = 0.0
        self._failure: TrainerFailure | None = None
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    @property
    def last_uri(self) -> str | None:
        """The folder that last.json names by now."""
        pointer = self._pointers.get("last")
        return pointer.uri if pointer else None

    def adopt_pointers(self, pointers: Mapping[str, CheckpointPointer]) -> None:
        """After a resume: what an earlier attempt left is kept or pruned by the same rule as our own."""
        self._pointers.update(pointers)

    def new_folder(self) -> Path:
        """An empty local folder to write a snapshot's files into."""
        folder = self._work_dir / "checkpoints" / uuid4().hex
        folder.mkdir(parents=True)
        return folder

    def submit(self, snapshot: Snapshot) -> None:
        """Hands a snapshot over and returns at once. A newer one replaces an older one that still waits."""
        with self._changed:
            self._waiting.last, dropped = snapshot, [self._waiting.last]
            if snapshot.best:
                self._waiting.best, older = snapshot, self._waiting.best
                dropped.append(older)
            self._discard(dropped)
            self._changed.notify_all()

    def finish(self, timeout_s: float) -> str | None:
        """Uploads everything that waits, ends the thread, returns the URI to resume from (None: nothing was saved).

        Raises TrainerFailure(STORAGE_FAILURE) when the final checkpoint is not up after `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._hurry = True
            self._storage.patience_s = min(self._storage.patience_s, max(1.0, timeout_s))
            self._changed.notify_all()
            while self._thread.is_alive() and (self._waiting.last or self._waiting.best or self._waiting.in_flight):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, 0.5))
            unsaved = self._waiting.last or self._waiting.best or self._waiting.in_flight
            self._closed = True
            self._changed.notify_all()
        if self._storage.sealed:
            raise AttemptReplaced("a newer attempt owns this job")
        if self._failure is not None:
            raise self._failure
        if unsaved:
            raise TrainerFailure(
                FailureCode.STORAGE_FAILURE, f"The final checkpoint could not be uploaded within {timeout_s:.0f} s."
            )
        return self.last_uri

    def ensure_best(self) -> bool:
        """After `finish`: where nothing was called the best, best.json names what last.json names.

        Returns whether it had to. Raises TrainerFailure(STORAGE_FAILURE).
        """
        last = self._pointers.get("last")
        if last is None or "best" in self._pointers or "last" not in self._told:
            return False
        self._point("best", "best", last.model_copy(update={"previous": None}), self._told["last"])
        return True

    def _discard(self, snapshots: Sequence[Snapshot | None]) -> None:
        wanted = [self._waiting.last, self._waiting.best, *self._waiting.in_flight]
        for snapshot in snapshots:
            if snapshot is not None and not any(snapshot is other for other in wanted):
                shutil.rmtree(snapshot.folder, ignore_errors=True)

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            started = time.monotonic()
            try:
                for snapshot, pointers in taken:
                    self._upload(snapshot, pointers)
                self._failure = None
                self._prune()
            except AttemptReplaced:
                self._closed = True
            except TrainerFailure as failure:
                # The next checkpoint is another chance; finish() reports the failure if this was the last one.
                self._failure = failure
                self._publisher.warning("checkpoint_upload_failed", failure.message)
            except Exception as error:  # a thread that dies silently would lose every later checkpoint
                log.exception("checkpoint upload failed")
                self._failure = TrainerFailure(FailureCode.STORAGE_FAILURE, f"Checkpoint: {type(error).__name__}.")
            now = time.monotonic()
            self._not_before = now + max(_SHORTEST_INTERVAL_S, (now - started) / _UPLOAD_SHARE)
            with self._changed:
                done, self._waiting.in_flight = self._waiting.in_flight, []
                self._discard(done)
                self._changed.notify_all()

    def _take(self) -> list[tuple[Snapshot, list[str]]] | None:
        """Waits for work. The best goes before the last, so that last.json is never older than best.json."""
        with self._changed:
            while not self._closed:
                last, best = self._waiting.last, self._waiting.best
                wait_s = 0.0 if self._hurry else self._not_before - time.monotonic()
                if last is None and best is None:
                    self._changed.wait()
                elif wait_s > 0:
                    self._changed.wait(wait_s)
                else:
                    self._waiting = _Waiting(in_flight=[item for item in (best, last) if item is not None])
                    if last is best and last is not None:
                        return [(last, ["last", "best"])]
                    pairs = ((best, ["best"]), (last, ["last"]))
                    return [(snapshot, pointers) for snapshot, pointers in pairs if snapshot is not None]
            return None

    def _upload(self, snapshot: Snapshot, pointers: list[str]) -> None:
        identity = self._identity
        # The attempt in the name keeps a second attempt from overwriting what it resumed from.
        suffix = f"-a{identity.attempt}" if identity.attempt > 1 else ""
        uri = join_uri(self._base_uri, f"{snapshot.step:08d}{suffix}")
        if not any(pointer.uri == uri for pointer in self._pointers.values()):
            write_manifest(snapshot, identity)
            self._storage.upload_folder(snapshot.folder, uri, last=MANIFEST_NAME)
        manifest = snapshot.folder / MANIFEST_NAME
        if not manifest.exists():
            write_manifest(snapshot, identity)
        manifest_sha256 = sha256_of_file(manifest)
        size = sum(path.stat().st_size for path in snapshot.folder.iterdir())
        for name in pointers:
            before = self._pointers.get(name)
            previous = before.uri if before and name == "last" and before.uri != uri else None
            pointer = CheckpointPointer(
                v=1,
                uri=uri,
                manifest_sha256=manifest_sha256,
                epoch=snapshot.epoch,
                step=snapshot.step,
                previous=previous,
            )
            kind = "periodic" if name == "last" and snapshot.periodic else name
            about = {
                "uri": uri,
                "sha256": manifest_sha256,
                "bytes": size,
                "epoch": snapshot.epoch,
                "step": snapshot.step,
                "metrics": dict(snapshot.metrics),
            }
            self._point(name, kind, pointer, about)

    def _point(self, name: str, kind: str, pointer: CheckpointPointer, about: dict[str, Any]) -> None:
        """Replaces last.json or best.json and tells of it."""
        self._storage.upload_bytes(pointer.model_dump_json().encode(), join_uri(self._base_uri, f"{name}.json"))
        self._pointers[name], self._told[name] = pointer, about
        self._publisher.publish("checkpoint", {"kind": kind, **about})

    def _prune(self) -> None:
        """Deletes all but the last two and the best, manifests first: half a folder is no checkpoint."""
        keep = {pointer.uri for pointer in self._pointers.values()}
        keep |= {pointer.previous for pointer in self._pointers.values() if pointer.previous}
        doomed: dict[str, list[str]] = {}
        for uri, _ in self._storage.list(self._base_uri + "/"):
            folder = uri.rsplit("/", 1)[0]
            if folder != self._base_uri and folder not in keep:
                doomed.setdefault(folder, []).append(uri)
        for uris in doomed.values():
            for uri in sorted(uris, key=lambda uri: not uri.endswith("/" + MANIFEST_NAME)):
                self._storage.delete(uri)


def write_manifest(snapshot: Snapshot, identity: CheckpointIdentity) -> Path:
    """Writes MANIFEST.json with the size and hash of every other file of the folder. Returns its path."""
    files = [
        File(name=path.name, bytes=path.stat().st_size, sha256=sha256_of_file(path))
        for path in sorted(snapshot.folder.iterdir())
        if path.name != MANIFEST_NAME
    ]
    manifest = CheckpointManifest(
        v=1,
        job_id=identity.job_id,
        attempt=identity.attempt,
        epoch=snapshot.epoch,
        step=snapshot.step,
        files=files,
        versions=identity.versions,
        config_hash=identity.config_hash,
        classes=identity.classes,
        metrics=dict(snapshot.metrics),
        model=Model.model_validate(identity.model) if identity.model else None,
    )
    path = snapshot.folder / MANIFEST_NAME
    path.write_text(to_contract_json(manifest, indent=1))
    return path
