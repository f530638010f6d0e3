"""The whole way: real images, real storage, the trainer as a process."""

from __future__ import annotations

import hashlib
import json

from conftest import Jobs
from vision_trainer import contracts
from vision_trainer.storage import Storage


def test_learns_the_digits_and_leaves_everything_it_should(jobs: Jobs, storage: Storage) -> None:
    job_id = jobs.new_id()
    trainer = jobs.start(
        job_id,
        dataset=jobs.digits.all_uri,
        EPOCHS="8",
        BATCH_SIZE="64",
        LEARNING_RATE="0.01",
        CONFIG_JSON='{"image_size": 32}',
    )
    assert trainer.wait() == 0, trainer.log
    events = trainer.events()
    kinds = [event["type"] for event in events]
    assert kinds[0] == "started"
    assert kinds[-1] == "succeeded"
    assert kinds.count("succeeded") == 1
    assert [event["src_seq"] for event in events] == list(range(1, len(events) + 1))
    for event in events:
        contracts.TrainerEvent.model_validate_json(json.dumps(event))

    metrics = events[-1]["data"]["metrics"]
    print(metrics)
    assert metrics["val/top1"] >= 0.95

    result = contracts.TrainerResult.model_validate_json(storage.read_bytes(f"{jobs.output_uri(job_id)}/RESULT.json"))
    names = {artifact.name for artifact in result.artifacts}
    assert {"model.safetensors", "labels.json", "confusion_matrix.json", "metrics.jsonl"} <= names
    for artifact in result.artifacts:
        assert hashlib.sha256(storage.read_bytes(artifact.uri)).hexdigest() == artifact.sha256
    assert events[-1]["data"]["artifacts"] == [artifact.model_dump() for artifact in result.artifacts]
    assert trainer.left_behind() == []
