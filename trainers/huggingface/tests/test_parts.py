"""The parts of the trainer, one by one."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vision_trainer import contracts
from vision_trainer.failures import TrainerFailure
from vision_trainer.job_settings import read_settings, schema_of

from huggingface_trainer import catalogue
from huggingface_trainer.augmentation import PRESETS, Augmentation, moved_about, random_part, recoloured
from huggingface_trainer.bleu import bleu4
from huggingface_trainer.captions import CaptionTokens
from huggingface_trainer.ema import AveragedModel
from huggingface_trainer.geometry import View, around_box, letterboxed, squashed
from huggingface_trainer.sampling import batches, example_rng, steps_per_epoch
from huggingface_trainer.schedule import learning_rate
from huggingface_trainer.settings import (
    EvaluateSettings,
    ExportSettings,
    PredictSettings,
    TrainSettings,
    check_for_task,
)
from huggingface_trainer.tasks.pose import peaks_of

WILD = Augmentation(scale=(0.4, 1.0), ratio=(0.5, 2.0), flip=0.5, colour=0.3)


@given(st.integers(0, 2**53 - 1), st.integers(0, 1000), st.integers(4, 200), st.integers(1, 64), st.data())
def test_an_epoch_can_be_entered_at_any_step(seed: int, epoch: int, count: int, size: int, data: Any) -> None:
    whole = list(batches(seed, epoch, count, size))
    assert len(whole) == steps_per_epoch(count, size)
    seen = [index for batch in whole for index in batch]
    assert len(set(seen)) == len(seen) >= count - 1
    first = data.draw(st.integers(0, len(whole)))
    assert list(batches(seed, epoch, count, size, first)) == whole[first:]
    shares = [list(batches(seed, epoch, count, 2 * size, 0, rank, 2)) for rank in (0, 1)]
    both = [sorted([*one, *other]) for one, other in zip(*shares, strict=True)]
    assert both == [sorted(batch) for batch in batches(seed, epoch, count, 2 * size, 0, 0, 1)][: len(both)]


def test_the_learning_rate_rises_then_falls() -> None:
    rates = [learning_rate(update, 100, 10, 1.0, 0.01) for update in range(101)]
    assert max(rates) == rates[10] == 1.0
    assert rates[100] == pytest.approx(0.01)


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("size", [(40, 30), (8, 8), (1, 5)])
def test_a_picture_depends_on_nothing_but_its_own_generator(preset: str, size: tuple[int, int]) -> None:
    image = Image.radial_gradient("L").resize(size).convert("RGB")
    pictures = []
    for _ in range(2):
        rng = example_rng(1, 2, 3)
        view = random_part(squashed(*size, 32, 32), PRESETS[preset], rng)
        pictures.append(np.asarray(recoloured(view.render(image, 32, 32), PRESETS[preset], rng)))
    assert pictures[0].shape == (32, 32, 3)
    assert (pictures[0] == pictures[1]).all()


@given(st.integers(0, 10_000), st.sampled_from(["squash", "letterbox", "object"]))
def test_pixels_boxes_and_points_move_together(seed: int, kind: str) -> None:
    """A bright square stays under its box and its corner under its point, whatever augmentation does."""
    rng = random.Random(seed)
    width, height = 80, 60
    image = Image.new("RGB", (width, height))
    box = (30, 20, 16, 16)
    image.paste((255, 255, 255), (box[0], box[1], box[0] + box[2], box[1] + box[3]))
    if kind == "object":
        view = moved_about(around_box((24.0, 14.0, 28.0, 28.0), 96, 72), WILD, rng)
        canvas = (96, 72)
    else:
        start = squashed(width, height, 96, 96) if kind == "squash" else letterboxed(width, height, 96, 96)
        view, canvas = random_part(start, WILD, rng), (96, 96)
    picture = np.asarray(view.render(image, *canvas))[..., 0]
    moved = view.boxes_to_input(np.asarray([box], np.float32))[0]
    inside = np.zeros(canvas, bool)
    left, top, right, bottom = np.round(moved).astype(int)
    inside[top:bottom, left:right] = True
    # The edge is smoothed over the pixels beside it.
    edge = 3 + int(max(view.scale))
    core = inside.copy()
    core[: top + edge], core[max(0, bottom - edge) :] = False, False
    core[:, : left + edge], core[:, max(0, right - edge) :] = False, False
    assert (picture[core] > 250).all()
    outside = np.ones(canvas, bool)
    outside[max(0, top - edge) : bottom + edge, max(0, left - edge) : right + edge] = False
    assert (picture[outside] < 5).all()

    points = np.asarray([[31.0, 22.0], [44.0, 35.0]], np.float32)
    np.testing.assert_allclose(view.to_image(view.to_input(points)), points, atol=1e-2)
    corners = view.to_input(np.asarray([[box[0], box[1]], [box[0] + box[2], box[1] + box[3]]], np.float32))
    low, high = np.minimum(*corners), np.maximum(*corners)
    limits = [view.width, view.height]
    np.testing.assert_allclose(moved[:2], np.clip(low, 0, limits), atol=1e-2)
    np.testing.assert_allclose(moved[2:], np.clip(high, 0, limits), atol=1e-2)


def test_a_mask_moves_like_its_image() -> None:
    mask = Image.fromarray(np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((20, 20), np.uint8)))
    view = View((20.0, 20.0, 60.0, 60.0), 32, 32, flip=True)
    rendered = np.asarray(view.render_mask(mask, 48, 48, 255))
    assert rendered[4, 4] == 6
    assert rendered[4, 28] == 5
    assert rendered[28, 4] == 10
    assert (rendered[32:] == 255).all()
    assert (rendered[:, 32:] == 255).all()


def test_captions_become_tokens_and_words_again() -> None:
    captions = ["A three, left of a seven.", "An eight above a one", "über den Wolken"]
    tokens = CaptionTokens.from_captions(captions)
    assert tokens.ids == CaptionTokens.from_captions(captions).ids
    for caption in captions:
        ids = tokens.encode(caption, 32)
        assert (ids[0], ids[-1]) == (tokens.bos, tokens.sep)
        assert tokens.decode([*ids, tokens.pad]) == caption.lower()
    assert len(tokens.encode(captions[0], 4)) == 4
    assert tokens.decode(tokens.encode("a zebra", 9)) == "a [UNK]"


def test_bleu_by_hand() -> None:
    # Papineni et al. 2002, example 2: clipped unigrams count "the" twice; no longer run matches.
    the, reference = ["the"] * 7, ["the", "cat", "is", "on", "the", "mat"]
    assert bleu4([the], [[reference]]) == 0.0
    assert bleu4([reference], [[reference, the]]) == pytest.approx(1.0)
    assert bleu4([["a", "three"]], [[["a", "three"]]]) == pytest.approx(1.0)
    said, known = ["a", "b", "c", "d", "e"], ["a", "b", "c", "d", "f"]
    expected = (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert bleu4([said], [[known]]) == pytest.approx(expected)
    assert bleu4([said[:4]], [[known]]) == pytest.approx(np.exp(1 - 5 / 4))


def test_a_peak_is_found_between_pixels() -> None:
    heat = np.zeros((1, 8, 8), np.float32)
    heat[0, 3, 4], heat[0, 3, 5], heat[0, 2, 4] = 1.0, 0.6, 0.2
    peaks, heights = peaks_of(heat)
    assert peaks.tolist() == [[4.25, 2.75]]
    assert heights.tolist() == [1.0]


def test_averaged_weights_follow() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 1.0)
    averaged = AveragedModel(model, 0.9)
    torch.nn.init.constant_(model.weight, 2.0)
    averaged.update(model, 10**6)
    assert next(averaged.module.parameters()).item() == pytest.approx(1.1)


def test_trainer_json_is_up_to_date_and_conforms() -> None:
    text = catalogue.TRAINER_JSON.read_text(encoding="utf-8")
    assert text == catalogue.render(), "run: python -m huggingface_trainer.catalogue"
    manifest = contracts.TrainerManifest.model_validate_json(text)
    jsonschema.Draft202012Validator.check_schema(json.loads(text)["hyperparameters"])
    for model in manifest.models:
        assert (
            model.weights is None or "nvidia" not in model.weights.source or "non-commercial" in model.weights.license
        )


@pytest.mark.parametrize(
    ("settings", "config"),
    [
        *((TrainSettings, config) for config in (
            {}, {"image_size": 64}, {"image_size": 5}, {"augmentation": "wild"}, {"unknown": 1}, {"clip_grad": None},
            {"clip_grad": 0}, {"momentum": 1}, {"amp": "yes"}, {"amp": "fp16"}, {"num_workers": 2}, {"max_words": 2},
        )),
        *((EvaluateSettings, config) for config in ({}, {"split": "val"}, {"split": "../x"}, {"worst": 101})),
        *((PredictSettings, config) for config in ({}, {"score_threshold": 0.5}, {"max_overlays": -1})),
        *((ExportSettings, config) for config in ({}, {"parity_samples": 0}, {"split": None})),
    ],
)  # fmt: skip
def test_the_schema_and_the_trainer_agree(settings: Any, config: dict[str, Any]) -> None:
    schema = schema_of(settings, "", without=("images",))
    schema_says = jsonschema.Draft202012Validator(schema).is_valid(config)
    try:
        read_settings(settings, config)
        trainer_says = True
    except TrainerFailure as failure:
        trainer_says = False
        assert next(iter(config)) in failure.message
    assert schema_says == trainer_says


@pytest.mark.parametrize(
    ("config", "task", "fits"),
    [
        ({"class_weights": "balanced"}, "image_classification", True),
        ({"class_weights": "balanced"}, "object_detection", False),
        ({"label_smoothing": 0.1}, "pose_estimation", False),
        ({"label_smoothing": 0.1}, "image_captioning", True),
    ],
)
def test_no_setting_is_silently_ignored(config: dict[str, Any], task: str, fits: bool) -> None:
    settings = TrainSettings(**config)
    if fits:
        check_for_task(settings, task)
    else:
        with pytest.raises(TrainerFailure, match=next(iter(config))):
            check_for_task(settings, task)
