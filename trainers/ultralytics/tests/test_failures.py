# SPDX-License-Identifier: AGPL-3.0-only
"""Every way a job can go wrong has its exit code and says what to do."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from bad_variables import check_refusals
from conftest import DIGITS, Datasets, Jobs
from dataset_writer import Picture, write_dataset
from tampered_checkpoint import copy_checkpoint
from trainer_process import TrainerProcess

# Large steps without a limit, and nothing that damps them.
_RECKLESS = json.dumps(
    {
        "optimizer": "SGD",
        "momentum": 0.99,
        "warmup_epochs": 0,
        "clip_grad": None,
        "box_gain": 100,
        "class_gain": 100,
    }
)
DETECTION, CLASSES = "object_detection", "image_classification"


@pytest.mark.parametrize(
    ("changes", "exit_code", "code", "words"),
    [
        ({"CONFIG_JSON": '{"optimiser": "SGD"}'}, 2, "BAD_CONFIG", "optimiser"),
        ({"CONFIG_JSON": '{"optimizer": "auto"}'}, 2, "BAD_CONFIG", "optimizer"),
        ({"CONFIG_JSON": '{"mosaic": 2}'}, 2, "BAD_CONFIG", "mosaic"),
        ({"CONFIG_JSON": '{"data": "/etc/data.yaml"}'}, 2, "BAD_CONFIG", "data"),
        ({"MODEL_NAME": "yolo11n-seg"}, 2, "BAD_CONFIG", "MODEL_NAME"),
        ({"MODEL_NAME": "../../yolo11n.pt"}, 2, "BAD_CONFIG", "MODEL_NAME"),
        ({"TASK_TYPE": "image_captioning"}, 2, "BAD_CONFIG", "TASK_TYPE"),
        ({"LEARNING_RATE": "2"}, 2, "BAD_CONFIG", "LEARNING_RATE"),
        ({"DEVICE": "cuda:7"}, 2, "BAD_CONFIG", "DEVICE"),
        ({"DATASET_URI": "s3://test-bucket/datasets/404/v1/"}, 3, "DATASET_INVALID", "MANIFEST.json"),
        ({"CONFIG_JSON": '{"pretrained": true}'}, 4, "MODEL_UNAVAILABLE", "vp models add-weights"),
        (
            {
                "LEARNING_RATE": "1",
                "EPOCHS": "30",
                "BATCH_SIZE": "2",
                "CONFIG_JSON": _RECKLESS,
            },
            10,
            "DIVERGED",
            "finite number",
        ),
    ],
)
def test_says_what_is_wrong(
    jobs: Jobs, datasets: Datasets, changes: dict[str, Any], exit_code: int, code: str, words: str
) -> None:
    _expect(jobs.start(DETECTION, datasets.overfit(DETECTION), None, **changes), exit_code, code, words)


def test_every_bad_variable_is_refused_by_name(jobs: Jobs, datasets: Datasets) -> None:
    dataset = datasets.overfit(DETECTION)
    check_refusals(lambda changes: jobs.start(DETECTION, dataset, None, **changes))


def test_datasets_one_cannot_train_with(jobs: Jobs, datasets: Datasets) -> None:
    def written(name: str, classes: list[str], pictures: list[Picture]) -> str:
        uri = f"s3://{jobs.server.bucket}/datasets/bad-{name}/v1/"
        write_dataset(jobs.storage, uri, classes, pictures)
        return uri

    good = [Picture(split, label, 8, 8, _png(label)) for split in ("train", "val") for label in (0, 1, 0, 1)]
    broken = [*good[1:], Picture("train", 0, 8, 8, b"\x89PNG\r\n\x1a\nnothing")]
    one_class = [Picture(split, 0, 8, 8, _png(0)) for split in ("train", "val") for _ in range(3)]
    no_validation = [picture for picture in good if picture.split == "train"]
    cases = [
        (DETECTION, written("task", ["a", "b"], good), "image_classification"),
        (CLASSES, written("one", ["a"], one_class), "class"),
        (CLASSES, written("empty", ["a", "b"], no_validation), "val"),
        (CLASSES, written("broken", ["a", "b"], broken), "decoded"),
    ]
    for process, words in [(jobs.start(task, uri, None), words) for task, uri, words in cases]:
        _expect(process, 3, "DATASET_INVALID", words)


def test_a_checkpoint_must_be_this_model_and_whole(jobs: Jobs, datasets: Datasets) -> None:
    dataset, job_id = datasets.overfit(DETECTION), jobs.new_id()
    first = jobs.start(DETECTION, dataset, job_id, EPOCHS="1")
    assert first.wait() == 0, first.log
    mine = jobs.output_uri(job_id) + "/checkpoints/"
    uri = jobs.read_json(job_id, "checkpoints/best.json")["uri"]

    other_settings = jobs.start(DETECTION, dataset, None, RESUME_URI=mine, EPOCHS="1", CONFIG_JSON='{"freeze": 3}')
    other_model = jobs.derive("evaluate", DETECTION, dataset, job_id, MODEL_NAME="yolo11n")
    other_task = jobs.derive("evaluate", "instance_segmentation", datasets.overfit("instance_segmentation"), job_id)
    nothing = jobs.start(DETECTION, dataset, None, RESUME_URI=f"s3://{jobs.server.bucket}/jobs/99999/checkpoints/")
    _expect(other_settings, 2, "BAD_CONFIG", "resume_with_other_config")
    _expect(other_model, 2, "BAD_CONFIG", "MODEL_URI")
    _expect(other_task, 2, "BAD_CONFIG", "MODEL_URI")
    _expect(nothing, 4, "MODEL_UNAVAILABLE", "RESUME_URI")
    fewer = datasets.overfit(DETECTION, digits=DIGITS[:2])
    _expect(jobs.start(DETECTION, fewer, None, RESUME_URI=mine, EPOCHS="1"), 2, "BAD_CONFIG", "RESUME_URI")
    _expect(jobs.derive("evaluate", DETECTION, fewer, job_id), 2, "BAD_CONFIG", "MODEL_URI")

    # Somebody exchanged the state, and made all hashes fit: it is never unpickled.
    copy = f"{jobs.output_uri(jobs.new_id())}/checkpoints/00000001"
    poisoned = copy_checkpoint(jobs.storage, uri, copy, "state.pt", pickle.dumps(_Evil()))
    _expect(jobs.start(DETECTION, dataset, None, RESUME_URI=poisoned, EPOCHS="1"), 4, "MODEL_UNAVAILABLE", "RESUME_URI")
    assert not Path("/tmp/ultralytics-trainer-was-here").exists()

    # Cut short: the hashes in the manifest tell.
    content = jobs.storage.read_bytes(f"{uri}/ema.safetensors")
    jobs.storage.upload_bytes(content[: len(content) // 2], f"{uri}/ema.safetensors")
    _expect(jobs.derive("export", DETECTION, dataset, job_id), 4, "MODEL_UNAVAILABLE", "MODEL_URI")


def test_weights_from_the_store(jobs: Jobs, datasets: Datasets) -> None:
    from safetensors.torch import save

    from ultralytics_trainer.models import MODELS, build_module

    bucket = jobs.server.bucket

    def stored(name: str, content: bytes) -> str:
        uri = f"s3://{bucket}/weights/ultralytics/{name}"
        jobs.storage.upload_bytes(content, uri)
        return uri

    network = build_module(MODELS["test_yolo11"], 80)
    good = stored("good.safetensors", save(network.state_dict()))
    other = stored("other.safetensors", save(build_module(MODELS["test_yolo11-cls"], 10).state_dict()))
    evil = stored("evil.pt", pickle.dumps(_Evil()))
    config = json.dumps({"pretrained": True})
    dataset = datasets.overfit(DETECTION)
    processes = [
        jobs.start(DETECTION, dataset, None, PRETRAINED_URI=uri, CONFIG_JSON=config, EPOCHS="1")
        for uri in (good, other, evil, f"s3://{bucket}/weights/ultralytics/none.pt")
    ]
    assert processes[0].wait() == 0, processes[0].log
    told = [event["message"] for event in processes[0].events_of("log")]
    assert any("starting afresh" in message for message in told), told
    for process, words in zip(processes[1:], ("another model", "not a file of weights", "none.pt"), strict=True):
        _expect(process, 4, "MODEL_UNAVAILABLE", words)


class _Evil:
    """A pickle that runs a command."""

    def __reduce__(self) -> Any:
        import os

        return os.system, ("touch /tmp/ultralytics-trainer-was-here",)


def _png(label: int) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8), (50 * DIGITS[label], 9, 9)).save(file, "PNG")
    return file.getvalue()


def _expect(trainer: TrainerProcess, exit_code: int, code: str, words: str) -> None:
    assert trainer.wait() == exit_code, trainer.log
    last = trainer.events()[-1]
    assert last["type"] == "failed"
    assert last["data"]["code"] == code
    assert words in last["data"]["message"], last["data"]["message"]
    assert trainer.left_behind() == []
