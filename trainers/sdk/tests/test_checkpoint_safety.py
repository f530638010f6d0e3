"""Checkpoints that are not what they should be: of another model, torn, or made to do harm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from local_job import LocalJob
from real_services import S3Server

from vision_trainer.checkpoints import CheckpointIdentity, CheckpointStore, Snapshot, hash_config
from vision_trainer.failures import TrainerFailure
from vision_trainer.model_source import open_model
from vision_trainer.resume import CheckpointTorn, resume_checkpoint

MODEL = {"framework": "timm", "model_name": "test_resnet", "task_type": "image_classification", "input_size": 32}
Poison = Callable[[dict[str, Any]], object]


def identity(**model: Any) -> CheckpointIdentity:
    return CheckpointIdentity(5, 1, hash_config({}), ["a", "b"], {"python": "3"}, {**MODEL, **model})


def trained(server: S3Server, folder: Path, who: CheckpointIdentity | None = None) -> LocalJob:
    """A job whose output holds the checkpoints of step 1 and 2; the first is the best."""
    local = LocalJob(server, folder)
    store = CheckpointStore(
        local.storage, local.job.events, who or identity(), local.output_uri, local.job.work_dir / "own"
    )
    for step in (1, 2):
        where = store.new_folder()
        (where / "weights.bin").write_bytes(b"weights %d" % step)
        store._hurry = True
        store.submit(Snapshot(where, 1, step, {"val/top1": 0.5}, best=step == 1))
        with store._changed:
            store._changed.wait_for(lambda: store.last_uri is not None and store.last_uri.endswith(f"{step:08d}"), 20)  # noqa: B023
    store.finish(20)
    return local


def with_model(local: LocalJob, name: str = "checkpoints/best.json") -> LocalJob:
    object.__setattr__(local.job.env, "model_uri", f"{local.output_uri}/{name}")
    return local


def poison_manifest(local: LocalJob, step: int, change: Poison) -> None:
    """Alters a manifest and, because an attacker would, the hash in the pointers too."""
    name = f"checkpoints/{step:08d}/MANIFEST.json"
    manifest = json.loads(local.read(name))
    change(manifest)
    content = json.dumps(manifest).encode()
    local.storage.upload_bytes(content, f"{local.output_uri}/{name}")
    for pointer in ("last", "best"):
        said = json.loads(local.read(f"checkpoints/{pointer}.json"))
        if said["uri"].endswith(f"{step:08d}"):
            said["manifest_sha256"] = hashlib.sha256(content).hexdigest()
            local.storage.upload_bytes(json.dumps(said).encode(), f"{local.output_uri}/checkpoints/{pointer}.json")


def resumed_step(local: LocalJob, who: CheckpointIdentity | None = None) -> int | None:
    into = local.job.work_dir / "resumed"
    found = resume_checkpoint(local.storage, f"{local.output_uri}/checkpoints/", into, who or identity())
    return found.manifest.step if found else None


def test_a_model_is_opened_by_pointer_folder_or_prefix(server: S3Server, tmp_path: Path) -> None:
    local = trained(server, tmp_path)
    for name, step in (("checkpoints/best.json", 1), ("checkpoints/last.json", 2), ("checkpoints/00000001", 1)):
        found = open_model(with_model(local, name).job)
        assert found.manifest.step == step
        assert (found.folder / "weights.bin").read_bytes() == b"weights %d" % step
        assert found.manifest.model is not None
        assert found.manifest.model.model_dump() == MODEL
        assert found.manifest.classes == ["a", "b"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("framework", "huggingface"), ("model_name", "resnet50"), ("task_type", "object_detection")],
)
def test_another_model_is_refused_by_name(field: str, value: str, server: S3Server, tmp_path: Path) -> None:
    local = with_model(trained(server, tmp_path, identity(**{field: value})))
    with pytest.raises(TrainerFailure, match=f"^MODEL_URI: .*{field} is '{value}'") as caught:
        open_model(local.job)
    assert caught.value.exit_code == 2
    with pytest.raises(TrainerFailure, match=f"^RESUME_URI: .*{field} is '{value}'") as caught:
        resumed_step(local)
    assert caught.value.exit_code == 2


def test_a_checkpoint_that_does_not_say_what_it_is_is_no_model(server: S3Server, tmp_path: Path) -> None:
    nameless = CheckpointIdentity(5, 1, hash_config({}), ["a", "b"], {})
    local = with_model(trained(server, tmp_path, nameless))
    with pytest.raises(TrainerFailure, match="does not say which model") as caught:
        open_model(local.job)
    assert caught.value.exit_code == 2
    assert resumed_step(local) == 2


def test_no_whole_checkpoint_is_no_model(server: S3Server, tmp_path: Path) -> None:
    local = with_model(trained(server, tmp_path))
    local.storage.upload_bytes(b"torn", f"{local.output_uri}/checkpoints/00000001/weights.bin")
    with pytest.raises(TrainerFailure, match="no whole checkpoint") as caught:
        open_model(local.job)
    assert caught.value.exit_code == 4
    with pytest.raises(TrainerFailure, match="no whole checkpoint"):
        open_model(with_model(local, "checkpoints/nothing.json").job)


def test_a_folder_whose_content_is_no_weights_is_passed_over(server: S3Server, tmp_path: Path) -> None:
    local = trained(server, tmp_path)

    def only_the_first(folder: Path) -> None:
        if (folder / "weights.bin").read_bytes() != b"weights 1":
            raise CheckpointTorn("weights.bin holds no weights")

    into = local.job.work_dir / "resumed"
    found = resume_checkpoint(local.storage, f"{local.output_uri}/checkpoints/", into, identity(), check=only_the_first)
    assert found is not None
    assert found.manifest.step == 1
    with pytest.raises(TrainerFailure, match="no whole checkpoint"):
        open_model(with_model(local, "checkpoints/last.json").job, check=lambda folder: _torn())


def _torn() -> None:
    raise CheckpointTorn("refused")


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["files"][0].__setitem__("name", "../../escaped.bin"),
        lambda manifest: manifest["files"][0].__setitem__("name", "/tmp/escaped.bin"),
        lambda manifest: manifest["files"][0].__setitem__("name", "..\\escaped.bin"),
        lambda manifest: manifest["files"][0].__setitem__("name", ".bashrc"),
        lambda manifest: manifest["files"][0].__setitem__("name", "a\u0000b"),
        lambda manifest: manifest["files"][0].__setitem__("name", ""),
        lambda manifest: manifest["files"][0].__setitem__("name", "x" * 5000),
        lambda manifest: manifest["files"][0].__setitem__("name", "MANIFEST.json"),
        lambda manifest: manifest["files"][0].__setitem__("bytes", 2**50),
        lambda manifest: manifest["files"][0].__setitem__("sha256", "no hash"),
        lambda manifest: manifest["files"].append(manifest["files"][0]),
        lambda manifest: manifest.__setitem__("v", 9),
        lambda manifest: manifest.pop("classes"),
        lambda manifest: manifest.__setitem__("model", {"framework": "timm"}),
        lambda manifest: manifest.clear(),
    ],
)
def test_a_poisoned_manifest_is_passed_over(change: Poison, server: S3Server, tmp_path: Path) -> None:
    local = trained(server, tmp_path)
    poison_manifest(local, 2, change)
    assert resumed_step(local) == 1
    assert sorted(path.name for path in (local.job.work_dir / "resumed").iterdir()) == ["weights.bin"]
    assert not list(tmp_path.rglob("escaped*"))


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"null", b'{"v": 1}'])
def test_a_damaged_manifest_or_pointer_is_passed_over(content: bytes, server: S3Server, tmp_path: Path) -> None:
    local = trained(server, tmp_path)
    local.storage.upload_bytes(content, f"{local.output_uri}/checkpoints/last.json")
    assert resumed_step(local) == 2
    local.storage.upload_bytes(content, f"{local.output_uri}/checkpoints/00000002/MANIFEST.json")
    assert resumed_step(local) == 1


@pytest.mark.parametrize(
    "target", ["s3://another-bucket/jobs/1/checkpoints/00000001", "{base}/../elsewhere", "{base}/checkpoints/a/b"]
)
def test_a_pointer_that_leads_elsewhere_is_not_followed(target: str, server: S3Server, tmp_path: Path) -> None:
    local = trained(server, tmp_path)
    pointer = json.loads(local.read("checkpoints/last.json"))
    pointer["uri"] = target.format(base=local.output_uri)
    local.storage.upload_bytes(json.dumps(pointer).encode(), f"{local.output_uri}/checkpoints/last.json")
    assert resumed_step(local) == 2
    with pytest.raises(TrainerFailure, match="no whole checkpoint"):
        open_model(with_model(local, "checkpoints/last.json").job)


def test_another_class_map_is_refused(server: S3Server, tmp_path: Path) -> None:
    local = trained(server, tmp_path)
    other = CheckpointIdentity(5, 1, hash_config({}), ["b", "a"], {}, dict(MODEL))
    with pytest.raises(TrainerFailure, match="same classes in the same order") as caught:
        resumed_step(local, other)
    assert caught.value.exit_code == 2
