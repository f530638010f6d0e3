"""Live samples, and which checkpoint counts as the best: in repositories that differ from the sample in one thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from trainer_process import TrainerProcess

from conftest import SOURCES, Jobs, make_bundle

Start = Callable[..., TrainerProcess]
_MANIFEST = SOURCES[1] / "vision-trainer.yaml"
_HANGS = "import time\ntime.sleep(60)\n"
_FAILS = "raise SystemExit('predict is broken')\n"
_LIES = 'import sys\nopen(sys.argv[4], \'w\').write(\'{"image": "000000.png", "labels": [{"category": 99}]}\')\n'


def codes(trainer: TrainerProcess) -> set[str]:
    """Of all warnings. On a busy machine the sample is slow to say how far it is."""
    return {event["code"] for event in trainer.events_of("warning")}


@pytest.fixture()
def start(jobs: Jobs, tmp_path: Path) -> Start:
    """Trains the sample with other keys in its manifest, and another predict.py."""

    def begin(job_id: int | None = None, predict: str | None = None, pause: float = 0.0, **changes: Any) -> Any:
        overlay = tmp_path / "overlay"
        overlay.mkdir()
        manifest = yaml.safe_load(_MANIFEST.read_text()) | changes
        (overlay / "vision-trainer.yaml").write_text(yaml.safe_dump(manifest))
        if predict is not None:
            (overlay / "predict.py").write_text(predict)
        name = f"variant-{tmp_path.name}"
        found = make_bundle(jobs.storage, jobs.server.bucket, tmp_path, [*SOURCES, overlay], name)
        config = {"git_url": found.git_url, "commit": found.commit, "params": {"pause": pause}}
        return jobs.start(job_id, CONFIG_JSON=json.dumps(config))

    return begin


def test_samples_while_it_trains_and_at_the_end(jobs: Jobs, start: Start) -> None:
    trainer = start(pause=0.05, samples={"when": "checkpoint", "pause_s": 0.3, "images": 3})
    assert trainer.wait() == 0, trainer.log
    samples = trainer.events_of("sample")
    by_epoch = {event["epoch"] for event in samples}
    assert len(by_epoch) >= 2, samples
    for epoch in by_epoch:
        assert sum(event["epoch"] == epoch for event in samples) <= 3
    assert all(event["truth"].isdigit() and event["prediction"] for event in samples)
    assert jobs.storage.read_bytes(samples[-1]["image_uri"])[:2] == b"\xff\xd8"
    # Nothing of it is taken for something that the training left behind.
    assert codes(trainer) <= {"no_progress"}
    assert trainer.left_behind() == []


@pytest.mark.parametrize(
    ("predict", "said"), [(_HANGS, "was ended"), (_FAILS, "predict is broken"), (_LIES, "wrote predictions.jsonl")]
)
def test_a_predict_that_fails_is_a_line_in_the_log(start: Start, predict: str, said: str) -> None:
    trainer = start(predict=predict, samples={"when": "checkpoint", "pause_s": 0, "limit_s": 0.7})
    assert trainer.wait() == 0, trainer.log
    assert trainer.events_of("sample") == []
    assert codes(trainer) <= {"no_progress"}
    assert said in trainer.log
    assert trainer.left_behind() == []


def test_samples_are_off_where_the_manifest_says_so(start: Start) -> None:
    trainer = start(samples={"when": "never"})
    assert trainer.wait() == 0, trainer.log
    assert trainer.events_of("sample") == []


@pytest.mark.parametrize(
    ("told", "own_best", "words"),
    [
        # The manifest reads val/top1 from a field that the repository never writes.
        ({"nothing": "val/top1"}, False, "never told val/top1; best.json names its last checkpoint"),
        ({"nothing": "val/top1"}, True, "never told val/top1; best.json names its last checkpoint"),
        # The manifest does not even know where it would stand.
        ({}, False, "never told val/top1; best.json names the newest one"),
    ],
)
def test_without_a_primary_metric_the_last_checkpoint_is_the_best(
    jobs: Jobs, start: Start, told: dict[str, str], own_best: bool, words: str
) -> None:
    manifest = yaml.safe_load(_MANIFEST.read_text())
    progress, checkpoints = manifest["progress"], manifest["checkpoints"]
    progress[1]["metrics"] = {"train_loss": "train/loss", **told}
    if not own_best:
        del checkpoints["best"]
    job_id = jobs.new_id()
    trainer = start(job_id, progress=progress, checkpoints=checkpoints)
    assert trainer.wait() == 0, trainer.log
    [warning] = [event for event in trainer.events_of("warning") if event["code"] == "no_best"]
    assert words in warning["message"]
    last, best = (
        json.loads(jobs.storage.read_bytes(f"{jobs.output_uri(job_id)}/checkpoints/{name}.json"))
        for name in ("last", "best")
    )
    assert best["uri"] == last["uri"] and best["manifest_sha256"] == last["manifest_sha256"]
    # It is there to be used, as a checkpoint and as an artifact.
    names = [artifact["name"] for artifact in trainer.events_of("succeeded")[0]["artifacts"]]
    assert "weights.npz" in names
    if not own_best:
        return
    evaluation = jobs.start(
        JOB_KIND="evaluate",
        MODEL_URI=f"{jobs.output_uri(job_id)}/checkpoints/best.json",
        CONFIG_JSON="{}",
        EPOCHS=None,
    )
    assert evaluation.wait() == 0, evaluation.log
    assert evaluation.events_of("succeeded")[0]["metrics"]["val/top1"] >= 0.8
