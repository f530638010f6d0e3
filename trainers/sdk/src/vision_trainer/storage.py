"""S3 objects: verified downloads, uploads that carry their sha256, bounded retries."""

from __future__ import annotations

import hashlib
import logging
import mimetypes
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from .environment import StorageSettings
from .failures import FailureCode, TrainerFailure

log = logging.getLogger(__name__)
Result = TypeVar("Result")

_CHUNK_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST_READ_BYTES = 256 << 20
_LARGEST_DOWNLOAD_BYTES = 1 << 40
_FIRST_BACKOFF_S = 0.2
_LONGEST_BACKOFF_S = 10.0
# Answers that another try cannot change.
_FINAL_STATUSES = frozenset({400, 401, 403, 404, 405, 412, 416})
_MEDIA_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".gz": "application/gzip",
    ".safetensors": "application/octet-stream",
    ".pt": "application/octet-stream",
    ".tar": "application/x-tar",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it lies in the storage."""

    uri: str
    sha256: str
    bytes: int
    media_type: str


class ObjectMissing(TrainerFailure):
    """There is no such object."""

    def __init__(self, uri: str) -> None:
        super().__init__(FailureCode.STORAGE_FAILURE, f"{uri} does not exist.", retryable=False)
        self.uri = uri


class ObjectTooLarge(TrainerFailure):
    """The object is larger than anything of its kind; it is not read into memory."""

    def __init__(self, uri: str, size: int, limit: int) -> None:
        super().__init__(
            FailureCode.STORAGE_FAILURE, f"{uri} has {size} bytes, and at most {limit} are read.", retryable=False
        )


class HashMismatch(TrainerFailure):
    """The object is not what its manifest says."""


def split_uri(uri: str) -> tuple[str, str]:
    """(bucket, key) of `s3://bucket/key`. Raises BAD_CONFIG for anything else."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"{uri!r} is not an s3://bucket/key URI.")
    return bucket, key


def join_uri(base: str, *names: str) -> str:
    """`base` with names appended, one slash between each."""
    return "/".join([base.rstrip("/"), *(name.strip("/") for name in names)])


def sha256_of_file(path: Path) -> str:
    """The file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def media_type_of(name: str) -> str:
    """The media type an object of this name is stored with."""
    known = _MEDIA_TYPES.get(Path(name).suffix.lower())
    return known or mimetypes.guess_type(name)[0] or "application/octet-stream"


class Storage:
    """The job's door to S3. Safe to use from several threads; the client is made at first use.

    Every call is tried again for about `patience_s` seconds and then raises TrainerFailure(STORAGE_FAILURE).
    """

    def __init__(self, settings: StorageSettings, *, patience_s: float = 60.0) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self.patience_s = patience_s
        # Set when a newer attempt owns the job: from then on nothing may be written.
        self.sealed = False

    def read_bytes(self, uri: str, *, limit_bytes: int = _LARGEST_READ_BYTES) -> bytes:
        """The whole object. Raises ObjectMissing, and ObjectTooLarge above `limit_bytes`."""

        def get() -> bytes:
            body: bytes = self._opened(uri, limit_bytes)["Body"].read()
            return body

        return self._patiently(uri, get)

    def download(
        self, uri: str, path: Path, *, sha256: str | None = None, limit_bytes: int = _LARGEST_DOWNLOAD_BYTES
    ) -> str:
        """Downloads to `path` by way of a temporary name and returns the sha256 in hex.

        With `sha256` the content must match (one silent second try, then HashMismatch). Raises ObjectMissing, and
        ObjectTooLarge before anything of an object above `limit_bytes` is on the disk.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid4().hex}.part")
        try:
            for _ in range(2):
                found = self._patiently(uri, lambda: self._fetch(uri, partial, limit_bytes))
                if sha256 is None or found == sha256:
                    partial.replace(path)
                    return found
            raise HashMismatch(
                FailureCode.STORAGE_FAILURE, f"{uri} has sha256 {found}, expected {sha256}.", retryable=False
            )
        finally:
            partial.unlink(missing_ok=True)

    def upload_file(self, path: Path, uri: str, *, media_type: str | None = None) -> StoredObject:
        """Uploads a file with its sha256 as metadata. Large files go in parts."""
        from boto3.s3.transfer import TransferConfig

        bucket, key = split_uri(uri)
        stored = StoredObject(uri, sha256_of_file(path), path.stat().st_size, media_type or media_type_of(path.name))
        extra = {"Metadata": {"sha256": stored.sha256}, "ContentType": stored.media_type}
        # No threads for small objects: a thread pool costs more than the upload.
        transfer = TransferConfig(
            multipart_threshold=64 << 20, multipart_chunksize=32 << 20, use_threads=stored.bytes > 64 << 20
        )

        def put() -> None:
            self._s3.upload_file(str(path), bucket, key, ExtraArgs=extra, Config=transfer)

        self._guard_write()
        self._patiently(uri, put)
        return stored

    def upload_bytes(self, content: bytes, uri: str, *, media_type: str | None = None) -> StoredObject:
        """Uploads bytes with their sha256 as metadata."""
        bucket, key = split_uri(uri)
        stored = StoredObject(uri, hashlib.sha256(content).hexdigest(), len(content), media_type or media_type_of(key))

        def put() -> None:
            self._s3.put_object(
                Bucket=bucket, Key=key, Body=content, ContentType=stored.media_type, Metadata={"sha256": stored.sha256}
            )

        self._guard_write()
        self._patiently(uri, put)
        return stored

    def upload_folder(self, folder: Path, uri: str, *, last: str = "MANIFEST.json") -> list[StoredObject]:
        """Uploads all files of a folder; the one named `last` goes last, so that its presence means complete."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        files.sort(key=lambda path: path.relative_to(folder).as_posix() == last)
        return [self.upload_file(path, join_uri(uri, path.relative_to(folder).as_posix())) for path in files]

    def exists(self, uri: str) -> bool:
        """Whether there is an object with exactly this key."""
        bucket, key = split_uri(uri)
        try:
            self._patiently(uri, lambda: self._s3.head_object(Bucket=bucket, Key=key))
        except ObjectMissing:
            return False
        return True

    def stored_sha256(self, uri: str) -> str | None:
        """The sha256 in hex that was stored with the object, or None where it has none. Raises ObjectMissing."""
        bucket, key = split_uri(uri)
        answer = self._patiently(uri, lambda: self._s3.head_object(Bucket=bucket, Key=key))
        found = str(answer.get("Metadata", {}).get("sha256", "")).lower()
        return found if _SHA256.fullmatch(found) else None

    def list(self, uri: str) -> Iterator[tuple[str, int]]:
        """(uri, bytes) of every object whose key begins with the key of `uri`."""
        bucket, prefix = split_uri(uri)
        token: dict[str, str] = {}
        while True:
            page = self._patiently(
                uri,
                lambda: self._s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **token),  # noqa: B023
            )
            for entry in page.get("Contents", []):
                yield f"s3://{bucket}/{entry['Key']}", int(entry["Size"])
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, uri: str) -> None:
        """Deletes one object; it is no error when there is none."""
        bucket, key = split_uri(uri)
        self._guard_write()
        self._patiently(uri, lambda: self._s3.delete_object(Bucket=bucket, Key=key))

    def _fetch(self, uri: str, path: Path, limit_bytes: int) -> str:
        digest = hashlib.sha256()
        answer = self._opened(uri, limit_bytes)
        with path.open("wb") as file:
            for chunk in answer["Body"].iter_chunks(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _opened(self, uri: str, limit_bytes: int) -> Any:
        """S3's answer, its body not yet read. Raises ObjectTooLarge by what the answer says of its length."""
        bucket, key = split_uri(uri)
        answer = self._s3.get_object(Bucket=bucket, Key=key)
        if answer["ContentLength"] > limit_bytes:
            answer["Body"].close()
            raise ObjectTooLarge(uri, answer["ContentLength"], limit_bytes)
        return answer

    def _guard_write(self) -> None:
        if self.sealed:
            from .failures import AttemptReplaced

            raise AttemptReplaced("a newer attempt owns this job; nothing is written any more")

    @cached_property
    def _s3(self) -> Any:
        with self._lock:
            made = self.__dict__.get("_s3")
            return made if made is not None else _make_client(self._settings)

    def _patiently(self, uri: str, call: Callable[[], Result]) -> Result:
        """Tries `call` until it works, cannot work, or `patience_s` is over."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        deadline = time.monotonic() + self.patience_s
        backoff_s = _FIRST_BACKOFF_S
        while True:
            try:
                return call()
            except (BotoCoreError, Boto3Error, ClientError, OSError) as error:
                status, code = _answer_of(error)
                if status == 404:
                    raise ObjectMissing(uri) from error
                final = status in _FINAL_STATUSES or (
                    isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError)
                )
                if final or time.monotonic() + backoff_s > deadline:
                    raise TrainerFailure(
                        FailureCode.STORAGE_FAILURE, f"{uri}: {code}.", retryable=status not in _FINAL_STATUSES
                    ) from error
                log.warning("storage: %s for %s; trying again", code, uri)
            time.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreading retries, not a secret
            backoff_s = min(backoff_s * 2, _LONGEST_BACKOFF_S)


def _answer_of(error: Exception) -> tuple[int | None, str]:
    """(HTTP status, short words) of a failed call. upload_file wraps the answer in another exception."""
    for candidate in (error, error.__cause__, error.__context__):
        response = getattr(candidate, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status, str(response.get("Error", {}).get("Code") or f"HTTP {status}")
    return None, type(error).__name__


def _make_client(settings: StorageSettings) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        signature_version="s3v4",
        # R2 and older S3 servers refuse the checksums that boto3 sends by default.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if settings.force_path_style else "auto"},
        retries={"mode": "standard", "total_max_attempts": 2},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=16,
    )
    # A session of its own: the default one would look for profiles and instance credentials.
    session = boto3.session.Session(
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        region_name=settings.region,
    )
    return session.client("s3", endpoint_url=settings.endpoint, config=config)
