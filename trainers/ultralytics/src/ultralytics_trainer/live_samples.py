# SPDX-License-Identifier: AGPL-3.0-only
"""A few validation images an epoch with what the model says about them."""

from __future__ import annotations

import time
from typing import Any

from vision_trainer.dataset import DatasetReader
from vision_trainer.images import sample_image
from vision_trainer.run import TrainerJob
from vision_trainer.samples import SamplePublisher

from .models import find_model
from .predictions import Predictor, describe_truth
from .progress import Progress
from .yolo_data import YoloData

_PER_EPOCH = 4
_CONFIDENCE = 0.25
# Short epochs are not spent on pictures.
_SHORTEST_PAUSE_S = 5.0
_CLOSING_S = 5.0


class LiveSamples:
    """Predicts on the first validation images and hands them to the kit's publisher."""

    def __init__(self, job: TrainerJob, reader: DatasetReader, data: YoloData, size: int, device: str) -> None:
        self._job = job
        self._reader = reader
        self._samples = data.val[:_PER_EPOCH]
        self._model = find_model(job.env.model_name, job.env.task_type)
        self._size = size
        self._device = device
        points = reader.manifest.keypoints
        skeleton = [list(pair.root) for pair in points.skeleton] if points else []
        self._publisher = SamplePublisher(job, _PER_EPOCH, skeleton=skeleton)
        self._not_before = 0.0

    def publish(self, network: Any, progress: Progress, *, last: bool) -> None:
        """Shows what the network says now, unless it was asked a moment ago and this is not the end."""
        now = time.monotonic()
        if now < self._not_before and not last:
            return
        predict = Predictor(
            self._model,
            network,
            self._reader.classes,
            size=self._size,
            device=self._device,
            save_dir=self._job.work_dir / "run",
            confidence=_CONFIDENCE,
        )
        for sample in self._samples:
            image = sample_image(self._reader, sample)
            self._publisher.publish(
                epoch=progress.epoch,
                step=progress.update,
                sample_id=sample.id,
                image=image,
                prediction=predict(sample.id, image),
                truth=describe_truth(sample, self._reader.classes),
            )
        self._not_before = time.monotonic() + max(_SHORTEST_PAUSE_S, 20 * (time.monotonic() - now))

    def close(self) -> None:
        """Waits a little for the last pictures."""
        self._publisher.close(_CLOSING_S)
