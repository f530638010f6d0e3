"""Every model of the catalogue is built with the right head and takes one step forward and backward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dataset_writer import open_folder
from digit_scenes import make_scenes, write_canonical
from vision_trainer.dataset import DatasetReader

from huggingface_trainer.augmentation import PRESETS
from huggingface_trainer.captions import CaptionTokens
from huggingface_trainer.examples import ImageSource
from huggingface_trainer.framework_errors import translate
from huggingface_trainer.learner import Learner
from huggingface_trainer.loader import TrainingBatches
from huggingface_trainer.measuring import as_arrays
from huggingface_trainer.model_list import MODELS, family_of
from huggingface_trainer.models import build_model, model_config, model_input
from huggingface_trainer.settings import TrainSettings
from huggingface_trainer.tasks import TASKS, TaskData
from huggingface_trainer.team import Team


def _cases() -> list[Any]:
    tiny = [pytest.param(name, id=name) for name in MODELS if name.startswith("test_")]
    others = [name for name in MODELS if not name.startswith("test_")]
    return [*tiny, *(pytest.param(name, marks=pytest.mark.all_models, id=name) for name in others)]


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DatasetReader]:
    """A handful of scenes for every task."""
    return {task: _reader(task, tmp_path_factory.mktemp(task)) for task in TASKS}


def _reader(task: str, folder: Path) -> DatasetReader:
    scenes = make_scenes(task, 8, 1, digits=(0, 1, 2))
    write_canonical(folder, task, {"train": scenes, "val": scenes}, digits=(0, 1, 2))
    return open_folder(folder)


def _learner(name: str, reader: DatasetReader, **settings: Any) -> tuple[Learner, TrainingBatches]:
    spec = MODELS[name]
    family = family_of(spec)
    samples = reader.split("train")
    tokens = CaptionTokens.from_captions(caption for s in samples for caption in s.captions or ())
    keypoints = reader.manifest.keypoints
    data = TaskData(
        classes=reader.classes,
        shape=model_input(spec, None),
        keypoints=keypoints,
        tokens=tokens if spec.family == "blip" else None,
        two_stage=family.two_stage,
    )
    words = tokens.ids if spec.family == "blip" else None
    config = model_config(spec, data.shape, data.classes, len(keypoints.names) if keypoints else 0, words, None)
    task = TASKS[family.task_type](data)
    chosen = TrainSettings(optimizer="sgd", **settings)
    model = build_model(spec, config, seed=1)
    learner = Learner(model, task, chosen, Team(), torch.device("cpu"), 1e-3, family.backbone, None)
    source = ImageSource(reader, samples)
    return learner, TrainingBatches(task, source, task.examples(samples), PRESETS["light"], 1, pin=False)


@pytest.mark.parametrize("name", _cases())
def test_one_step_of_every_model(name: str, readers: dict[str, DatasetReader]) -> None:
    reader = readers[family_of(MODELS[name]).task_type]
    learner, batches = _learner(name, reader)
    head = [p for n, p in learner.model.named_parameters() if n.startswith(family_of(MODELS[name]).head)]
    before = [parameter.detach().clone() for parameter in head]
    loss = learner.update(batches.make(0, [0, 1]), 2, 1e-3, 0)
    assert torch.isfinite(loss)
    assert any(not torch.equal(old, new) for old, new in zip(before, head, strict=True))
    with torch.inference_mode():
        raw = learner.task.infer(learner.model.eval(), learner.preparation.inputs(batches.make(0, [0, 1])))
    wanted = {"image_classification": 3, "object_detection": 3, "semantic_segmentation": 4, "pose_estimation": 5}
    if learner.task.type in wanted:
        first = raw[learner.task.outputs[0]]
        axis = -1 if first.ndim < 4 else 1
        # DETR has one class more, for nothing.
        assert first.shape[axis] - (MODELS[name].family == "detr") == wanted[learner.task.type]


def test_frozen_backbones_stay(readers: dict[str, DatasetReader]) -> None:
    for name in (name for name in MODELS if name.startswith("test_")):
        family = family_of(MODELS[name])
        learner, batches = _learner(name, readers[family.task_type], freeze="backbone")
        before = {n: p.detach().clone() for n, p in learner.model.named_parameters()}
        learner.update(batches.make(0, [0, 1]), 2, 1e-2, 0)
        changed = [n for n, p in learner.model.named_parameters() if not torch.equal(p, before[n])]
        assert changed, name
        assert not [n for n in changed if n.startswith(family.backbone)], name


def test_parts_of_a_batch_give_the_gradients_of_the_whole(readers: dict[str, DatasetReader]) -> None:
    weights = []
    for accumulation in (1, 2, 4):
        learner, batches = _learner("test_vit", readers["image_classification"], grad_accumulation=accumulation)
        learner.update(batches.make(0, [0, 1, 2, 3]), 4, 0.1, 0)
        weights.append([parameter.detach().clone() for parameter in learner.model.parameters()])
    for other in weights[1:]:
        for ours, theirs in zip(weights[0], other, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_a_full_gpu_means_smaller_parts_three_times(
    readers: dict[str, DatasetReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, batches = _learner("test_vit", readers["image_classification"])
    loss, fits = learner.task.loss, 1

    def memory_full_above(model: Any, inputs: Any, targets: Any) -> Any:
        if len(inputs["pixel_values"]) > fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return loss(model, inputs, targets)

    monkeypatch.setattr(learner.task, "loss", memory_full_above)
    learner.update(batches.make(0, [0, 1, 2, 3]), 4, 0.1, 0)
    assert learner.parts == 4
    fits = 0
    with pytest.raises(torch.cuda.OutOfMemoryError) as full:
        learner.update(batches.make(0, [0, 1, 2, 3]), 4, 0.1, 0)
    failure = translate(full.value)
    assert failure is not None
    assert failure.exit_code == 11


def test_class_weights_change_the_loss(readers: dict[str, DatasetReader]) -> None:
    from dataclasses import replace

    for name in ("test_vit", "test_segformer"):
        learner, batches = _learner(name, readers[family_of(MODELS[name]).task_type])
        batch = batches.make(0, list(range(8)))
        inputs, targets = learner.preparation.inputs(batch), learner.preparation.targets(batch)
        learner.model.eval()
        plain = learner.task.loss(learner.model, inputs, targets)
        count = len(learner.task.data.classes)
        learner.task.data = replace(learner.task.data, class_weights=tuple(0.1 + index for index in range(count)))
        assert learner.task.loss(learner.model, inputs, targets) != plain


def test_candidates_that_changed_places_are_no_difference(readers: dict[str, DatasetReader]) -> None:
    learner, batches = _learner("test_rtdetr", readers["object_detection"])
    task, model = learner.task, learner.model.eval()
    inputs = learner.preparation.inputs(batches.make(0, [0, 1]))
    with torch.inference_mode():
        ours = as_arrays(task.infer(model, inputs))
    turned = {name: values[:, ::-1].copy() for name, values in ours.items()}
    assert task.gap(model, inputs, ours, turned) < 1e-4
    assert task.gap(model, inputs, ours, {**turned, "logits": turned["logits"] + 0.5}) > 0.4
    assert task.gap(model, inputs, ours, {**turned, "boxes": turned["boxes"] * np.nan}) == float("inf")
    # The other one chose candidates that are less sure than our own choice.
    surer = {**ours, "candidates": ours["candidates"] + 1}
    assert task.gap(model, inputs, surer, turned) > 0.9
