"""Objects, datasets and checkpoints in a real S3 server."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dataset_writer import Picture, write_dataset
from real_services import S3Server, free_port

from vision_trainer.checkpoints import CheckpointIdentity, CheckpointStore, Snapshot, hash_config
from vision_trainer.dataset import open_dataset
from vision_trainer.environment import EventSettings, StorageSettings
from vision_trainer.event_sinks import StdoutSink
from vision_trainer.events import EventPublisher
from vision_trainer.failures import AttemptReplaced, FailureCode, TrainerFailure
from vision_trainer.resume import resume_checkpoint
from vision_trainer.storage import HashMismatch, ObjectMissing, ObjectTooLarge, Storage

CLASSES = ["cat", "dog"]


@pytest.fixture
def base(server: S3Server) -> str:
    return f"s3://{server.bucket}/jobs/{secrets.token_hex(4)}"


@pytest.fixture
def events(tmp_path: Path) -> EventPublisher:
    return EventPublisher(StdoutSink((tmp_path / "events").open("w")))


def identity(attempt: int = 1, *, config: dict[str, object] | None = None) -> CheckpointIdentity:
    return CheckpointIdentity(1, attempt, hash_config(config or {"lr": 1}), CLASSES, {"python": "3"})


def make_store(
    storage: Storage, events: EventPublisher, base: str, folder: Path, who: CheckpointIdentity
) -> CheckpointStore:
    return CheckpointStore(storage, events, who, base, folder)


def snapshot(store: CheckpointStore, step: int, **options: Any) -> Snapshot:
    folder = store.new_folder()
    (folder / "weights.bin").write_bytes(f"weights of step {step}".encode() * 100)
    (folder / "state.bin").write_bytes(b"state")
    return Snapshot(folder, 1, step, {"val/top1": 0.5}, **options)


def test_a_listing_of_many_pages_is_whole(storage: Storage, base: str) -> None:
    names = [f"{base}/{number:04d}.txt" for number in range(1001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda uri: storage.upload_bytes(b"12345", uri), names))
    assert list(storage.list(f"{base}/")) == [(name, 5) for name in names]


def test_objects_carry_their_hash_and_are_verified(storage: Storage, base: str, tmp_path: Path) -> None:
    stored = storage.upload_bytes(b"hello", f"{base}/a.json")
    assert stored.media_type == "application/json"
    bucket, key = base.removeprefix("s3://").split("/", 1)
    head = storage._s3.head_object(Bucket=bucket, Key=f"{key}/a.json")
    assert head["Metadata"]["sha256"] == hashlib.sha256(b"hello").hexdigest() == stored.sha256
    assert storage.download(stored.uri, tmp_path / "a", sha256=stored.sha256) == stored.sha256
    with pytest.raises(HashMismatch):
        storage.download(stored.uri, tmp_path / "b", sha256="0" * 64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]
    with pytest.raises(ObjectMissing):
        storage.read_bytes(f"{base}/nothing")
    assert storage.exists(stored.uri)
    assert storage.stored_sha256(stored.uri) == stored.sha256
    with pytest.raises(ObjectMissing):
        storage.stored_sha256(f"{base}/nothing")
    with pytest.raises(ObjectTooLarge):
        storage.read_bytes(stored.uri, limit_bytes=4)
    with pytest.raises(ObjectTooLarge):
        storage.download(stored.uri, tmp_path / "c", limit_bytes=4)
    storage.delete(stored.uri)
    assert not storage.exists(stored.uri)


def test_a_store_that_is_down_or_refuses_is_a_storage_failure(server: S3Server, base: str) -> None:
    nobody = StorageSettings("minio", "b", f"http://127.0.0.1:{free_port()}", "us-east-1", True, "key", "secret")
    with pytest.raises(TrainerFailure) as down:
        Storage(nobody, patience_s=0.5).read_bytes(f"{base}/x")
    assert (down.value.code, down.value.retryable) == (FailureCode.STORAGE_FAILURE, True)
    stranger = StorageSettings("minio", server.bucket, server.endpoint, "us-east-1", True, "someone", "wrong-secret")
    with pytest.raises(TrainerFailure) as refused:
        Storage(stranger).read_bytes(f"{base}/x")
    assert (refused.value.code, refused.value.retryable) == (FailureCode.STORAGE_FAILURE, False)
    assert "wrong-secret" not in refused.value.message


def test_keeps_the_last_two_and_the_best_and_resumes_from_the_last(
    storage: Storage, events: EventPublisher, base: str, tmp_path: Path
) -> None:
    store = make_store(storage, events, base, tmp_path, identity())
    store._not_before = 0
    for step in (10, 20, 30, 40):
        store.submit(snapshot(store, step, best=step == 10))
        with store._changed:
            store._hurry = True
            store._changed.notify_all()
            store._changed.wait_for(lambda: store.last_uri == f"{base}/checkpoints/{step:08d}", 20)  # noqa: B023
    assert store.finish(20) == f"{base}/checkpoints/00000040"
    folders = {uri.split("/")[-2] for uri, _ in storage.list(f"{base}/checkpoints/0")}
    assert folders == {"00000010", "00000030", "00000040"}
    assert not any((tmp_path / "checkpoints").iterdir())

    found = resume_checkpoint(storage, f"{base}/checkpoints/", tmp_path / "r", identity(2))
    assert found is not None
    assert found.manifest.step == 40
    assert (found.folder / "weights.bin").read_bytes().startswith(b"weights of step 40")
    assert found.pointers["best"].step == 10
    assert not store.ensure_best()


def test_where_nothing_was_called_the_best_the_last_counts_as_it(
    storage: Storage, events: EventPublisher, base: str, tmp_path: Path
) -> None:
    store = make_store(storage, events, base, tmp_path, identity())
    store.submit(snapshot(store, 10))
    last = store.finish(20)
    assert store.ensure_best()
    best = json.loads(storage.read_bytes(f"{base}/checkpoints/best.json"))
    assert (best["uri"], best["step"], best["previous"]) == (last, 10, None)
    events.close(5)
    told = [json.loads(line.partition(" ")[2]) for line in (tmp_path / "events").read_text().splitlines()]
    kinds = [event["data"]["kind"] for event in told if event["type"] == "checkpoint"]
    assert kinds == ["last", "best"]


def test_a_store_without_a_checkpoint_has_no_best(
    storage: Storage, events: EventPublisher, base: str, tmp_path: Path
) -> None:
    store = make_store(storage, events, base, tmp_path, identity())
    assert store.finish(5) is None
    assert not store.ensure_best()


def test_a_torn_checkpoint_is_never_resumed(
    storage: Storage, events: EventPublisher, base: str, tmp_path: Path
) -> None:
    store = make_store(storage, events, base, tmp_path, identity())
    store._hurry = True
    for step in (10, 20):
        store.submit(snapshot(store, step))
        with store._changed:
            store._changed.wait_for(lambda: store.last_uri == f"{base}/checkpoints/{step:08d}", 20)  # noqa: B023
    store.finish(20)
    # A third one, cut off before its manifest.
    storage.upload_bytes(b"half", f"{base}/checkpoints/00000030/weights.bin")

    def resumed_step(uri: str = f"{base}/checkpoints/") -> int | None:
        found = resume_checkpoint(storage, uri, tmp_path / "r", identity(2))
        return found.manifest.step if found else None

    assert resumed_step() == 20
    assert resumed_step(f"{base}/checkpoints/00000010") == 10
    assert resumed_step(f"{base}/checkpoints/00000030") is None
    storage.upload_bytes(b"other content", f"{base}/checkpoints/00000020/weights.bin")
    assert resumed_step() == 10
    storage.delete(f"{base}/checkpoints/00000010/state.bin")
    assert resumed_step() is None


def test_refuses_other_classes_and_other_settings(
    storage: Storage, events: EventPublisher, base: str, tmp_path: Path
) -> None:
    store = make_store(storage, events, base, tmp_path, identity())
    store.submit(snapshot(store, 1))
    uri = store.finish(20)
    assert uri is not None
    other_settings = identity(config={"lr": 2})
    with pytest.raises(TrainerFailure, match="other settings"):
        resume_checkpoint(storage, uri, tmp_path / "r", other_settings)
    assert resume_checkpoint(storage, uri, tmp_path / "r", other_settings, allow_other_config=True) is not None
    other_classes = CheckpointIdentity(1, 1, hash_config({"lr": 1}), ["dog", "cat"], {})
    with pytest.raises(TrainerFailure, match="same classes"):
        resume_checkpoint(storage, uri, tmp_path / "r", other_classes, allow_other_config=True)


def test_a_replaced_attempt_writes_nothing_more(
    server: S3Server, events: EventPublisher, base: str, tmp_path: Path
) -> None:
    storage = server.storage()
    store = make_store(storage, events, base, tmp_path, identity())
    storage.sealed = True
    store.submit(snapshot(store, 1))
    with pytest.raises(AttemptReplaced):
        store.finish(5)
    assert list(storage.list(base)) == []


def test_reads_a_dataset_by_position_and_shares_the_cache(storage: Storage, base: str, tmp_path: Path) -> None:
    contents = [secrets.token_bytes(100 + number) for number in range(6)]
    splits = ["train"] * 4 + ["val"] * 2
    pictures = [
        Picture(split, number % 2, 8, 8, content)
        for number, (split, content) in enumerate(zip(splits, contents, strict=True))
    ]
    write_dataset(storage, base, CLASSES, pictures)
    readers: list[Any] = []
    threads = [threading.Thread(target=lambda: readers.append(open_dataset(storage, base, tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for reader in readers:
        assert [reader.read(sample) for sample in reader.samples] == contents
        assert [sample.label for sample in reader.split("val")] == [0, 1]
    assert len([path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]) == 3

    storage.upload_bytes(b"something else", f"{base}/shards/val-00000.tar")
    with pytest.raises(TrainerFailure, match=r"val-00000\.tar") as caught:
        open_dataset(storage, base, tmp_path / "elsewhere")
    assert caught.value.exit_code == 3


def test_settings_of_events_hide_their_secrets() -> None:
    settings = EventSettings("http", 1, 1, redis_url="redis://:pw@h", callback_token="token")
    assert "pw" not in repr(settings)
    assert "token=" not in repr(settings)
