"""Finds the newest whole checkpoint behind RESUME_URI and brings it to the local disk, verified."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .checkpoints import MANIFEST_NAME, CheckpointIdentity
from .contracts import CheckpointManifest, CheckpointPointer
from .failures import FailureCode, TrainerFailure
from .storage import HashMismatch, ObjectMissing, Storage, join_uri

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResumedCheckpoint:
    """A verified checkpoint on the local disk, and the pointers found beside it."""

    uri: str
    folder: Path
    manifest: CheckpointManifest
    pointers: dict[str, CheckpointPointer]


class CheckpointTorn(Exception):
    """The folder is incomplete or not what its manifest says."""


def resume_checkpoint(
    storage: Storage,
    resume_uri: str,
    into: Path,
    identity: CheckpointIdentity,
    *,
    allow_other_config: bool = False,
) -> ResumedCheckpoint | None:
    """The checkpoint to go on from, or None when there is not a single whole one.

    `resume_uri` names a `checkpoints/` prefix (last.json, then what it replaced, then any other whole folder, newest
    first), one checkpoint folder, or a pointer file. Torn folders are passed over. Raises TrainerFailure: BAD_CONFIG
    for another class map, or for other settings unless `allow_other_config`; STORAGE_FAILURE when S3 does not answer.
    """
    pointers = _read_pointers(storage, resume_uri)
    seen: set[str] = set()
    for uri, manifest_sha256 in _candidates(storage, resume_uri, pointers):
        if uri in seen:
            continue
        seen.add(uri)
        try:
            manifest = _download(storage, uri, into, manifest_sha256)
        except CheckpointTorn as torn:
            log.warning("checkpoint %s is passed over: %s", uri, torn)
            continue
        _check(uri, manifest, identity, allow_other_config=allow_other_config)
        return ResumedCheckpoint(uri, into, manifest, pointers)
    return None


def _read_pointers(storage: Storage, resume_uri: str) -> dict[str, CheckpointPointer]:
    pointers: dict[str, CheckpointPointer] = {}
    if resume_uri.endswith(".json"):
        names = {"last": resume_uri}
    else:
        names = {name: join_uri(resume_uri, f"{name}.json") for name in ("last", "best")}
    for name, uri in names.items():
        try:
            pointers[name] = CheckpointPointer.model_validate_json(storage.read_bytes(uri))
        except ObjectMissing:
            continue
        except ValueError:
            log.warning("pointer %s cannot be read", uri)
    return pointers


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
        content = storage.read_bytes(join_uri(uri, MANIFEST_NAME))
        if manifest_sha256 is not None and hashlib.sha256(content).hexdigest() != manifest_sha256:
            raise CheckpointTorn("its manifest is not the one the pointer names")
        manifest = CheckpointManifest.model_validate_json(content)
        for file in manifest.files:
            if "/" in file.name or file.name in ("", ".", ".."):
                raise CheckpointTorn(f"it names a file {file.name!r}")
            storage.download(join_uri(uri, file.name), into / file.name, sha256=file.sha256)
    except (ObjectMissing, HashMismatch) as error:
        raise CheckpointTorn(error.message) from error
    except ValueError as error:
        raise CheckpointTorn("its manifest cannot be read") from error
    return manifest


def _check(uri: str, manifest: CheckpointManifest, identity: CheckpointIdentity, *, allow_other_config: bool) -> None:
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
