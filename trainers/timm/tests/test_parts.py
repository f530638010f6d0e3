"""The parts of the training loop, one by one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vision_trainer import contracts
from vision_trainer.event_sinks import StdoutSink
from vision_trainer.events import EventPublisher
from vision_trainer.failures import TrainerFailure

from timm_trainer import catalogue
from timm_trainer.images import PRESETS, evaluation_picture, training_picture
from timm_trainer.learner import Learner
from timm_trainer.model import ModelInput
from timm_trainer.sampling import batches, sample_rng, steps_per_epoch
from timm_trainer.schedule import learning_rate
from timm_trainer.settings import TimmSettings, read_settings

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


def test_trainer_json_is_up_to_date_and_conforms() -> None:
    text = catalogue.TRAINER_JSON.read_text(encoding="utf-8")
    assert text == catalogue.render(), "run: python -m timm_trainer.catalogue"
    contracts.TrainerManifest.model_validate_json(text)
    jsonschema.Draft202012Validator.check_schema(json.loads(text)["hyperparameters"])


@pytest.mark.parametrize(
    "config",
    [{}, {"image_size": 64}, {"image_size": 5}, {"augmentation": "wild"}, {"unknown": 1}, {"clip_grad": None},
     {"clip_grad": 0}, {"momentum": 1}, {"weight_decay": 1}, {"amp": "yes"}, {"num_workers": 2}],
)  # fmt: skip
def test_the_schema_and_the_trainer_agree(config: dict[str, Any]) -> None:
    schema_says = jsonschema.Draft202012Validator(catalogue.hyperparameters()).is_valid(config)
    try:
        read_settings(config)
        trainer_says = True
    except TrainerFailure as failure:
        trainer_says = False
        assert next(iter(config)) in failure.message
    assert schema_says == trainer_says


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
    losses = [one.update(images, labels, 0.1, 0).item() for one in (roomy, tight)]
    assert tight.parts == 4
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for ours, theirs in zip(tight.model.parameters(), roomy.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    hopeless = learner(MemoryFullAbove(1), events)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        hopeless.update(images, labels, 0.1, 0)
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
