"""Makes the batches. Decoding and scaling release Python's lock."""

from __future__ import annotations

from collections.abc import Iterator

from vision_trainer.loader import Loader

from .augmentation import Augmentation, recoloured
from .examples import Batch, Example, ImageSource, stack
from .sampling import example_rng
from .tasks.task import Task

# Examples per batch when nothing is learned. The same in training and in an evaluation job, so their figures are too.
EVALUATION_BATCH = 16


class TrainingBatches:
    """Makes the augmented batches of an epoch. Each example's augmentation follows from (seed, epoch, index) alone."""

    def __init__(
        self,
        task: Task,
        source: ImageSource,
        examples: list[Example],
        augmentation: Augmentation,
        seed: int,
        *,
        pin: bool,
    ) -> None:
        self._task = task
        self._source = source
        self.examples = examples
        self._augmentation = augmentation
        self._seed = seed
        self._pin = pin

    def make(self, epoch: int, indices: list[int]) -> Batch:
        """The batch of these examples as augmented in this epoch."""
        task, shape = self._task, self._task.data.shape
        pictures, targets, views = [], [], []
        for index in indices:
            example, rng = self.examples[index], example_rng(self._seed, epoch, index)
            view = task.training_view(example, self._augmentation, rng)
            picture = view.render(self._source.image(example), shape.height, shape.width)
            pictures.append(recoloured(picture, self._augmentation, rng))
            targets.append(task.target(example, view, self._source, rng))
            views.append(view)
        batch = stack(pictures, task.collate(targets), [self.examples[index] for index in indices], views)
        return batch.pinned() if self._pin else batch


class EvaluationBatches:
    """The batches of a split as the model is judged by them, in order; `targets` are made where the truth is known."""

    def __init__(
        self, task: Task, source: ImageSource, examples: list[Example], *, pin: bool = False, targets: bool = True
    ) -> None:
        self._task = task
        self._source = source
        self.examples = examples
        self._pin = pin
        self._targets = targets

    def __call__(self, loader: Loader, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """All batches; of several processes each takes every `world_size`-th."""
        count = len(self.examples)
        lists = [list(range(at, min(at + EVALUATION_BATCH, count))) for at in range(0, count, EVALUATION_BATCH)]
        return loader.load(self.make, lists[rank::world_size])

    def make(self, indices: list[int]) -> Batch:
        """The batch of these examples."""
        task, shape = self._task, self._task.data.shape
        examples = [self.examples[index] for index in indices]
        views = [task.evaluation_view(example) for example in examples]
        pictures = [
            view.render(self._source.image(example), shape.height, shape.width)
            for example, view in zip(examples, views, strict=True)
        ]
        targets = {}
        if self._targets:
            made = [task.target(e, view, self._source, None) for e, view in zip(examples, views, strict=True)]
            targets = task.collate(made)
        batch = stack(pictures, targets, examples, views)
        return batch.pinned() if self._pin else batch
