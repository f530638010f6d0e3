"""A repository is trained, resumed, stopped and used as a process against a real S3 server."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from dataset_writer import upload_dataset
from digit_scenes import make_splits, write_canonical
from vision_trainer.contracts import CheckpointManifest, EvaluationReport, ExportReport, Prediction, TrainerEvent

from conftest import Jobs

_MODEL = {"FRAMEWORK": "custom", "MODEL_NAME": "repository"}


def pointer(jobs: Jobs, job_id: int, name: str) -> str:
    """The folder that last.json or best.json names."""
    return str(json.loads(jobs.storage.read_bytes(f"{jobs.output_uri(job_id)}/checkpoints/{name}.json"))["uri"])


def weights(jobs: Jobs, folder: str) -> dict[str, np.ndarray]:
    """The sample's own checkpoint file, out of a checkpoint folder."""
    index = json.loads(jobs.storage.read_bytes(f"{folder}/files.json"))
    name = next(entry["name"] for entry in index["files"] if entry["role"] == "last")
    with np.load(io.BytesIO(jobs.storage.read_bytes(f"{folder}/{name}")), allow_pickle=False) as data:
        return {key: data[key] for key in ("w", "b", "vw", "vb")}


@pytest.fixture(scope="module")
def trained(jobs: Jobs) -> int:
    """A finished training."""
    job_id = jobs.new_id()
    trainer = jobs.start(job_id)
    assert trainer.wait() == 0, trainer.log
    [succeeded] = trainer.events_of("succeeded")
    assert succeeded["metrics"]["val/top1"] >= 0.9
    for event in trainer.events():
        TrainerEvent.model_validate(event)
    epochs = [entry for entry in trainer.events_of("metrics") if entry["scope"] == "epoch" and entry["split"] == "val"]
    assert [(entry["epoch"], entry["step"]) for entry in epochs] == [(1, 19), (2, 38), (3, 57), (4, 76)]
    assert {"last", "best"} <= {entry["kind"] for entry in trainer.events_of("checkpoint")}
    assert trainer.events_of("progress")[-1]["pct"] == 100
    assert any("walled in" in entry["message"] for entry in trainer.events_of("log"))
    assert trainer.left_behind() == []
    return job_id


def test_learns_and_leaves_what_is_needed(jobs: Jobs, trained: int) -> None:
    folder = pointer(jobs, trained, "best")
    manifest = CheckpointManifest.model_validate_json(jobs.storage.read_bytes(f"{folder}/MANIFEST.json"))
    assert manifest.model is not None
    assert (manifest.model.framework, manifest.model.model_name) == ("custom", "repository")
    assert (manifest.model.model_extra or {})["repository"]["commit"] == jobs.sample.commit
    names = {uri.removeprefix(jobs.output_uri(trained) + "/") for uri, _ in jobs.storage.list(jobs.output_uri(trained))}
    assert {"RESULT.json", "config.json", "env.json", "metrics.jsonl", "attempts/1/repository.log"} <= names


def test_resumed_weights_are_those_of_an_undisturbed_run(jobs: Jobs, trained: int) -> None:
    job_id = jobs.new_id()
    first = jobs.start(job_id, config={"pause": 0.03})
    first.wait_until(lambda trainer: bool(trainer.events_of("checkpoint")))
    first.terminate()
    assert first.wait(30) == 20, first.log
    [stopped] = first.events_of("stopped")
    assert stopped["reason"] == "cancelled"
    assert stopped["resume_uri"].startswith(jobs.output_uri(job_id))
    second = jobs.start(
        job_id,
        config={"pause": 0.03},
        ATTEMPT="2",
        RESUME_URI=f"{jobs.output_uri(job_id)}/checkpoints/",
    )
    assert second.wait() == 0, second.log
    assert any("Resumed after epoch" in entry["message"] for entry in second.events_of("log"))
    resumed, undisturbed = weights(jobs, pointer(jobs, job_id, "last")), weights(jobs, pointer(jobs, trained, "last"))
    assert all(np.array_equal(resumed[name], undisturbed[name]) for name in undisturbed)
    rows = [
        json.loads(line) for line in jobs.storage.read_bytes(f"{jobs.output_uri(job_id)}/metrics.jsonl").splitlines()
    ]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    told = [entry["epoch"] for entry in second.events_of("metrics") if entry["split"] == "val"]
    assert told and min(told) > 1 and told == sorted(told)


def test_evaluate_gives_the_figures_of_training(jobs: Jobs, trained: int) -> None:
    job_id = jobs.new_id()
    trainer = jobs.start(
        job_id,
        JOB_KIND="evaluate",
        MODEL_URI=f"{jobs.output_uri(trained)}/checkpoints/best.json",
        CONFIG_JSON="{}",
        EPOCHS=None,
        BATCH_SIZE=None,
        LEARNING_RATE=None,
    )
    assert trainer.wait() == 0, trainer.log
    report = EvaluationReport.model_validate_json(
        jobs.storage.read_bytes(f"{jobs.output_uri(job_id)}/artifacts/evaluation.json")
    )
    result = json.loads(jobs.storage.read_bytes(f"{jobs.output_uri(trained)}/RESULT.json"))
    assert report.metrics["val/top1"] == pytest.approx(result["metrics"]["val/top1"], abs=1e-9)
    assert report.samples == 150 and len(report.per_class) == 10 and len(report.worst) == 4
    assert report.worst[0].overlay == "overlays/worst-00.jpg"
    assert report.confusion_matrix is not None and sum(map(sum, report.confusion_matrix)) == 150


def test_evaluates_the_newest_weights_when_asked(jobs: Jobs, trained: int) -> None:
    """last.json holds the repository's best file as well; asked for the last weights, it gives those."""
    job_id = jobs.new_id()
    model = f"{jobs.output_uri(trained)}/checkpoints/last.json"
    trainer = jobs.start(job_id, JOB_KIND="evaluate", MODEL_URI=model, CONFIG_JSON='{"split": "val"}', EPOCHS=None)
    assert trainer.wait() == 0, trainer.log
    rows = jobs.storage.read_bytes(f"{jobs.output_uri(trained)}/metrics.jsonl").splitlines()
    result = json.loads(jobs.storage.read_bytes(f"{jobs.output_uri(job_id)}/RESULT.json"))
    assert result["metrics"]["val/loss"] == pytest.approx(json.loads(rows[-1])["val/loss"], abs=1e-9)


def test_predicts_a_split(jobs: Jobs, trained: int) -> None:
    job_id = jobs.new_id()
    model = f"{jobs.output_uri(trained)}/checkpoints/best.json"
    trainer = jobs.start(
        job_id, JOB_KIND="predict", MODEL_URI=model, CONFIG_JSON='{"split": "val", "max_overlays": 3}', EPOCHS=None
    )
    assert trainer.wait() == 0, trainer.log
    lines = jobs.storage.read_bytes(f"{jobs.output_uri(job_id)}/artifacts/predictions.jsonl").splitlines()
    predictions = [Prediction.model_validate_json(line) for line in lines]
    assert len(predictions) == 150
    assert predictions[0].labels is not None and predictions[0].labels[0].name.isdigit()
    assert [bool(entry.overlay) for entry in predictions[:4]] == [True, True, True, False]


def test_exports_with_parity(jobs: Jobs, trained: int) -> None:
    job_id = jobs.new_id()
    model = f"{jobs.output_uri(trained)}/checkpoints/best.json"
    trainer = jobs.start(job_id, JOB_KIND="export", MODEL_URI=model, CONFIG_JSON="{}", EPOCHS=None)
    assert trainer.wait() == 0, trainer.log
    report = ExportReport.model_validate_json(jobs.storage.read_bytes(f"{jobs.output_uri(job_id)}/export/export.json"))
    assert report.parity.max_abs_diff < 1e-5
    assert report.parity.metric_original == report.parity.metric_exported
    names = {uri.rsplit("/", 1)[1] for uri, _ in jobs.storage.list(f"{jobs.output_uri(job_id)}/export/")}
    assert names == {"export.json", "labels.json", "model.onnx", "preprocessing.json"}


def test_a_checkpoint_of_another_commit_is_refused(jobs: Jobs, trained: int) -> None:
    trainer = jobs.start(config={"momentum": 0.5}, RESUME_URI=f"{jobs.output_uri(trained)}/checkpoints/")
    assert trainer.wait() == 2
    [failed] = trainer.events_of("failed")
    assert failed["code"] == "BAD_CONFIG" and "RESUME_URI" in failed["message"]


def test_a_checkpoint_of_another_class_map_is_refused(jobs: Jobs, trained: int, tmp_path: Path) -> None:
    scenes = make_splits("image_classification", {"train": 12, "val": 6}, seed=3, size=24, digits=(0, 1))
    write_canonical(tmp_path, "image_classification", scenes, digits=(0, 1))
    uri = f"s3://{jobs.server.bucket}/datasets/91/v1/"
    upload_dataset(jobs.storage, uri, tmp_path)
    trainer = jobs.start(DATASET_URI=uri, RESUME_URI=f"{jobs.output_uri(trained)}/checkpoints/")
    assert trainer.wait() == 2, trainer.log
    [failed] = trainer.events_of("failed")
    assert failed["code"] == "BAD_CONFIG" and "RESUME_URI" in failed["message"]


def test_a_poisoned_checkpoint_is_passed_over(jobs: Jobs, trained: int) -> None:
    """Its index names a file outside of the output folder."""
    job_id = jobs.new_id()
    base = f"{jobs.output_uri(job_id)}/checkpoints/00000001"
    index = json.dumps(
        {"files": [{"name": "000.npz", "path": "../../evil", "role": "last"}], "state": {"epoch": 1}}
    ).encode()
    folder = pointer(jobs, trained, "last")
    manifest = json.loads(jobs.storage.read_bytes(f"{folder}/MANIFEST.json"))
    stored = [
        jobs.storage.upload_bytes(content, f"{base}/{name}")
        for name, content in (("files.json", index), ("000.npz", b"x"))
    ]
    manifest["files"] = [
        {"name": item.uri.rsplit("/", 1)[1], "bytes": item.bytes, "sha256": item.sha256} for item in stored
    ]
    jobs.storage.upload_bytes(json.dumps(manifest).encode(), f"{base}/MANIFEST.json")
    trainer = jobs.start(JOB_KIND="evaluate", MODEL_URI=base, CONFIG_JSON="{}", EPOCHS=None)
    assert trainer.wait() == 4, trainer.log


def test_nothing_runs_on(jobs: Jobs) -> None:
    """After all of the above no process of the sample repository is left."""
    found = subprocess.run(["pgrep", "-f", "escaped-from-the-sample"], capture_output=True, text=True, check=False)
    assert found.stdout == ""
