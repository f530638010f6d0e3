"""The parts of the training loop, one by one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vision_trainer.event_sinks import StdoutSink
from vision_trainer.events import EventPublisher

from timm_trainer.augmentation import PRESETS, mix_pairs, training_picture
from timm_trainer.batch_finder import largest_fitting_batch
from timm_trainer.images import evaluation_picture
from timm_trainer.learner import Learner, balanced_weights
from timm_trainer.loader import Batch
from timm_trainer.model import ModelInput
from timm_trainer.sampling import batches, sample_rng, step_plans, step_rng, steps_per_epoch
from timm_trainer.schedule import learning_rate
from timm_trainer.settings import TimmSettings

SHAPE = ModelInput(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@given(st.integers(0, 2**53 - 1), st.integers(0, 1000), st.integers(2, 200), st.integers(1, 64), st.data())
def test_an_epoch_can_be_entered_at_any_step(seed: int, epoch: int, count: int, size: int, data: Any) -> None:
    whole = list(batches(seed, epoch, count, size))
    assert len(whole) == steps_per_epoch(count, size)
    seen = [index for batch in whole for index in batch]
    assert len(set(seen)) == len(seen) >= count - 1
    first = data.draw(st.integers(0, len(whole)))
    assert list(batches(seed, epoch, count, size, first)) == whole[first:]


def test_the_learning_rate_rises_then_falls() -> None:
    rates = [learning_rate(update, 100, 10, 1.0, 0.01) for update in range(101)]
    assert max(rates) == rates[10] == 1.0
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.01)


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("size", [(40, 30), (30, 40), (8, 8), (1, 5)])
def test_a_picture_depends_on_nothing_but_its_own_generator(preset: str, size: tuple[int, int]) -> None:
    image = Image.radial_gradient("L").resize(size).convert("RGB")
    first, second = (training_picture(image, 32, PRESETS[preset], sample_rng(1, 2, 3)) for _ in range(2))
    assert first.shape == (32, 32, 3)
    assert (first == second).all()
    assert evaluation_picture(image, 32).shape == (32, 32, 3)


def test_a_crop_never_sticks_out_of_the_image() -> None:
    # Whose side the crop fills may come out a rounding too long: one crop in sixty of a 4:3 photograph did.
    photograph = Image.new("RGB", (640, 480))
    for seed in range(200):
        training_picture(photograph, 32, PRESETS["light"], sample_rng(seed, 0, 0))


@given(st.integers(0, 1000), st.integers(2, 300), st.integers(1, 4), st.data())
def test_processes_share_an_epoch_out(seed: int, count: int, world: int, data: Any) -> None:
    size = world * data.draw(st.integers(1, 16))
    shares = [list(step_plans(seed, 3, max(count, 2 * world), size, 0, rank, world)) for rank in range(world)]
    alone = list(batches(seed, 3, max(count, 2 * world), size, 0, world))
    for step, whole in enumerate(alone):
        mine = [shares[rank][step] for rank in range(world)]
        assert sorted(index for plan in mine for index in plan.indices) == sorted(whole)
        assert all(plan.total == len(whole) and plan.indices for plan in mine)


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_mixing_keeps_what_it_says(mixup: float, cutmix: float) -> None:
    augmentation = replace(PRESETS["light"], mixup_alpha=mixup, cutmix_alpha=cutmix)
    pictures = np.stack([np.full((40, 40, 3), 200 * number, dtype=np.uint8) for number in range(2)])
    for step in range(20):
        mixed, share = mix_pairs(pictures, augmentation, step_rng(1, 2, step, 0))
        again, _ = mix_pairs(pictures, augmentation, step_rng(1, 2, step, 0))
        assert (mixed == again).all()
        assert mixed.dtype == np.uint8
        # The second picture is 200 where it is its own and 0 where it is its partner's.
        assert mixed[1].mean() / 200 == pytest.approx(share, abs=0.01)
        if not mixup and not cutmix:
            assert share == 1.0


def test_the_loss_of_mixed_and_weighted_images_is_the_formula() -> None:
    images = torch.randint(0, 255, (6, 8, 8, 3), dtype=torch.uint8)
    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    weights = balanced_weights(labels.tolist(), 4)
    assert weights == pytest.approx([2 / 3, 2.0, 1.0, 0.0])
    assert sum(weights[label] for label in labels.tolist()) / 6 == pytest.approx(1.0)
    settings = TimmSettings(ema_decay=0.0, label_smoothing=0.0, optimizer="sgd", momentum=0.0, weight_decay=0.0)
    torch.manual_seed(0)
    one = Learner(MemoryFullAbove(16), settings, SHAPE, torch.device("cpu"), 0.1, None, class_weights=weights)
    with torch.no_grad():
        likelihood = one.model(one.normalise(images)).log_softmax(dim=1)
    rows = torch.arange(6)
    own = -(torch.tensor(weights)[labels] * likelihood[rows, labels])
    partner = -(torch.tensor(weights)[labels.flip(0)] * likelihood[rows, labels.flip(0)])
    expected = (0.7 * own + 0.3 * partner).mean()
    assert one.update(Batch(images, labels, 6, 0.7), 0.1, 0).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_largest_batch_that_fits_is_found() -> None:
    settings = TimmSettings(grad_accumulation=4)
    for limit, most, found in ((1, 64, 1), (5, 64, 4), (16, 64, 16), (1000, 64, 64)):
        assert largest_fitting_batch(MemoryFullAbove(limit), settings, SHAPE, torch.device("cpu"), most) == found


class MemoryFullAbove(torch.nn.Module):
    """A model on a small GPU: it fails for batches above a limit the way CUDA does."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 4)
        self.limit = limit

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Batch x 3 x height x width → batch x 4."""
        if len(images) > self.limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        result: torch.Tensor = self.layer(images.mean(dim=(2, 3)))
        return result


def learner(model: torch.nn.Module, events: EventPublisher) -> Learner:
    settings = TimmSettings(ema_decay=0.0, label_smoothing=0.0, optimizer="sgd", momentum=0.0, weight_decay=0.0)
    return Learner(model, settings, SHAPE, torch.device("cpu"), 0.1, events)


def test_a_full_gpu_means_smaller_parts_of_the_same_batch(capsys: pytest.CaptureFixture[str]) -> None:
    images = torch.randint(0, 255, (16, 8, 8, 3), dtype=torch.uint8)
    labels = torch.arange(16) % 4
    events = EventPublisher(StdoutSink(sys.stdout))
    torch.manual_seed(0)
    roomy = learner(MemoryFullAbove(16), events)
    torch.manual_seed(0)
    tight = learner(MemoryFullAbove(4), events)
    losses = [one.update(Batch(images, labels, 16), 0.1, 0).item() for one in (roomy, tight)]
    assert tight.parts == 4
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for ours, theirs in zip(tight.model.parameters(), roomy.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    hopeless = learner(MemoryFullAbove(1), events)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        hopeless.update(Batch(images, labels, 16), 0.1, 0)
    assert events.close(5)
    assert "oom_retry" in capsys.readouterr().out


def test_the_compiler_is_there_for_who_asks() -> None:
    code = """
import sys
from timm_trainer.lazy_compiler import postpone_compiler
postpone_compiler()
import timm_trainer.train
assert "sympy" not in sys.modules, "torch's compiler was loaded at start"
import torch
optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))])
optimizer.step()
assert "sympy" not in sys.modules
assert torch._dynamo.config.cache_size_limit > 0
assert "sympy" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
