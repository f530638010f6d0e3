"""Every way a training can go wrong has its exit code and says what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Jobs
from vision_trainer.storage import Storage


@pytest.mark.parametrize(
    ("changes", "exit_code", "code", "words"),
    [
        ({"CONFIG_JSON": '{"optimiser": "sgd"}'}, 2, "BAD_CONFIG", "optimiser"),
        ({"CONFIG_JSON": '{"label_smoothing": 2}'}, 2, "BAD_CONFIG", "label_smoothing"),
        ({"TASK_TYPE": "object_detection"}, 2, "BAD_CONFIG", "TASK_TYPE"),
        ({"DATASET_URI": "s3://test-bucket/datasets/404/v1/"}, 3, "DATASET_INVALID", "MANIFEST.json"),
        ({"CONFIG_JSON": '{"pretrained": true}'}, 4, "MODEL_UNAVAILABLE", "weights/timm/"),
        (
            {
                "LEARNING_RATE": "1000",
                "EPOCHS": "9",
                "BATCH_SIZE": "4",
                "CONFIG_JSON": '{"image_size": 32, "optimizer": "sgd", "warmup_epochs": 0}',
            },
            10,
            "DIVERGED",
            "finite",
        ),
    ],
)
def test_says_what_is_wrong(jobs: Jobs, changes: dict[str, Any], exit_code: int, code: str, words: str) -> None:
    trainer = jobs.start(**changes)
    assert trainer.wait() == exit_code, trainer.log
    last = trainer.events()[-1]
    assert last["type"] == "failed"
    assert last["data"]["code"] == code
    assert words in last["data"]["message"]
    assert trainer.left_behind() == []


def test_weights_in_the_storage_are_a_start_and_a_checkpoint_of_other_settings_is_none(
    jobs: Jobs, storage: Storage
) -> None:
    import timm
    from safetensors.torch import save

    source = timm.create_model("test_resnet", num_classes=3)
    uri = f"s3://{jobs.server.bucket}/weights/test_resnet/model.safetensors"
    storage.upload_bytes(save({name: value.contiguous() for name, value in source.state_dict().items()}), uri)
    job_id = jobs.new_id()
    first = jobs.start(job_id, EPOCHS="1", PRETRAINED_URI=uri)
    assert first.wait() == 0, first.log
    told = [event["message"] for event in first.events_of("log")]
    assert any("starting afresh: fc.weight, fc.bias" in message for message in told), told

    other = jobs.start(
        RESUME_URI=f"{jobs.output_uri(job_id)}/checkpoints/", EPOCHS="1", CONFIG_JSON=json.dumps({"ema_decay": 0.5})
    )
    assert other.wait() == 2, other.log
    assert "resume_with_other_config" in other.events()[-1]["data"]["message"]
