"""Finds the newest whole checkpoint behind RESUME_URI and brings it to the local disk, verified."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checkpoints import MANIFEST_NAME, CheckpointIdentity
from .contracts import CheckpointManifest, CheckpointPointer
from .failures import FailureCode, TrainerFailure
from .storage import HashMismatch, ObjectMissing, ObjectTooLarge, Storage, join_uri

log = logging.getLogger(__name__)

# No folders, no dot files, nothing a shell or a path would take for something else.
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=-]{0,199}")
_LARGEST_JSON_BYTES = 16 << 20
_LARGEST_FILE_BYTES = 1 << 40
# What must be the same in a checkpoint and in the job that goes on from it.
_MODEL_FIELDS = ("framework", "model_name", "task_type")


@dataclass(frozen=True, slots=True)
class ResumedCheckpoint:
    """A verified checkpoint on the local disk, and the pointers found beside it."""

    uri: str
    folder: Path
    manifest: CheckpointManifest
    pointers: dict[str, CheckpointPointer]


class CheckpointTorn(Exception):
    """The folder is incomplete or not what its manifest says."""


# Looks into a downloaded checkpoint folder, and raises CheckpointTorn when its files are not what they are named.
FolderCheck = Callable[[Path], None]


def resume_checkpoint(
    storage: Storage,
    resume_uri: str,
    into: Path,
    identity: CheckpointIdentity,
    *,
    allow_other_config: bool = False,
    check: FolderCheck = lambda folder: None,
) -> ResumedCheckpoint | None:
    """The checkpoint to go on from, or None when there is not a single whole one.

    `resume_uri` names a `checkpoints/` prefix (last.json, then what it replaced, then any other whole folder, newest
    first), one checkpoint folder, or a pointer file. Torn folders are passed over, and those for which `check` raises
    CheckpointTorn. Raises TrainerFailure: BAD_CONFIG for another framework, model, task or class map, or for other
    settings unless `allow_other_config`; STORAGE_FAILURE when S3 does not answer.
    """
    for found in whole_checkpoints(storage, resume_uri, into, check):
        _check(found.uri, found.manifest, identity, allow_other_config=allow_other_config)
        return found
    return None


def whole_checkpoints(
    storage: Storage, address: str, into: Path, check: FolderCheck = lambda folder: None
) -> Iterator[ResumedCheckpoint]:
    """The checkpoints behind an address, best candidate first, each downloaded to `into` in place of the one before.

    Yields none that is torn or that `check` refuses by raising CheckpointTorn. Raises STORAGE_FAILURE.
    """
    pointers = _read_pointers(storage, address)
    seen: set[str] = set()
    for uri, manifest_sha256 in _candidates(storage, address, pointers):
        if uri in seen:
            continue
        seen.add(uri)
        try:
            manifest = _download(storage, uri, into, manifest_sha256)
            check(into)
        except CheckpointTorn as torn:
            log.warning("checkpoint %s is passed over: %s", uri, torn)
            continue
        yield ResumedCheckpoint(uri, into, manifest, pointers)


def _read_pointers(storage: Storage, resume_uri: str) -> dict[str, CheckpointPointer]:
    pointers: dict[str, CheckpointPointer] = {}
    if resume_uri.endswith(".json"):
        names = {"last": resume_uri}
    else:
        names = {name: join_uri(resume_uri, f"{name}.json") for name in ("last", "best")}
    for name, uri in names.items():
        try:
            pointer = CheckpointPointer.model_validate_json(storage.read_bytes(uri, limit_bytes=_LARGEST_JSON_BYTES))
        except ObjectMissing:
            continue
        except (ValueError, ObjectTooLarge):
            log.warning("pointer %s cannot be read", uri)
            continue
        # A pointer that leads out of its own folder was not written by a trainer.
        beside = uri.rsplit("/", 1)[0] + "/"
        if all(_lies_in(beside, target) for target in (pointer.uri, pointer.previous) if target):
            pointers[name] = pointer
        else:
            log.warning("pointer %s leads out of its folder", uri)
    return pointers


def _lies_in(folder: str, uri: str) -> bool:
    """Whether it is a folder directly below `folder`, and not by way of `..`."""
    name = uri.removeprefix(folder).rstrip("/")
    return uri.startswith(folder) and _FILE_NAME.fullmatch(name) is not None


def _candidates(
    storage: Storage, resume_uri: str, pointers: dict[str, CheckpointPointer]
) -> Iterator[tuple[str, str | None]]:
    """(folder URI, expected hash of its manifest where known), best candidate first."""
    last = pointers.get("last")
    if last is not None:
        yield last.uri, last.manifest_sha256
        if last.previous:
            yield last.previous, None
    if resume_uri.endswith(".json"):
        return
    base = resume_uri.rstrip("/")
    manifests = [uri for uri, _ in storage.list(base + "/") if uri.endswith("/" + MANIFEST_NAME)]
    folders = [uri.rsplit("/", 1)[0] for uri in manifests]
    if base in folders:
        yield base, None
    # Names are <step>[-a<attempt>] with leading zeros, so their order is the order in time.
    for folder in sorted((folder for folder in folders if folder != base), reverse=True):
        yield folder, None


def _download(storage: Storage, uri: str, into: Path, manifest_sha256: str | None) -> CheckpointManifest:
    """Fetches the folder's files, each verified. Raises CheckpointTorn."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    try:
        content = storage.read_bytes(join_uri(uri, MANIFEST_NAME), limit_bytes=_LARGEST_JSON_BYTES)
        if manifest_sha256 is not None and hashlib.sha256(content).hexdigest() != manifest_sha256:
            raise CheckpointTorn("its manifest is not the one the pointer names")
        manifest = CheckpointManifest.model_validate_json(content)
        names = [file.name for file in manifest.files]
        if len(set(names)) < len(names):
            raise CheckpointTorn("it names a file twice")
        for file in manifest.files:
            if not _FILE_NAME.fullmatch(file.name) or file.name == MANIFEST_NAME:
                raise CheckpointTorn(f"it names a file {file.name[:100]!r}")
            if file.bytes > _LARGEST_FILE_BYTES:
                raise CheckpointTorn(f"it names a file of {file.bytes} bytes")
            storage.download(join_uri(uri, file.name), into / file.name, sha256=file.sha256, limit_bytes=file.bytes)
    except (ObjectMissing, ObjectTooLarge, HashMismatch) as error:
        raise CheckpointTorn(error.message) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointTorn("its manifest cannot be read") from error
    return manifest


def check_model(variable: str, uri: str, manifest: CheckpointManifest, expected: Mapping[str, Any]) -> None:
    """Raises BAD_CONFIG when the checkpoint is of another framework, model or task than `expected` says.

    `variable` is the one that named it. What either of them does not say is not compared.
    """
    found = manifest.model.model_dump() if manifest.model else {}
    for field in _MODEL_FIELDS:
        theirs, ours = found.get(field), expected.get(field)
        if theirs and ours and theirs != ours:
            raise TrainerFailure(
                FailureCode.BAD_CONFIG,
                f"{variable}: found a checkpoint whose {field} is {theirs!r} ({uri}), expected {ours!r}.",
            )


def _check(uri: str, manifest: CheckpointManifest, identity: CheckpointIdentity, *, allow_other_config: bool) -> None:
    check_model("RESUME_URI", uri, manifest, identity.model)
    if manifest.classes != identity.classes:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"RESUME_URI: found a checkpoint for {len(manifest.classes)} classes that are not the "
            f"dataset's ({uri}), expected the same classes in the same order.",
        )
    if manifest.config_hash != identity.config_hash and not allow_other_config:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"RESUME_URI: found a checkpoint made with other settings ({uri}), expected the settings of this job. "
            "Set resume_with_other_config to continue all the same.",
        )
