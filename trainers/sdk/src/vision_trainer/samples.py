"""Live samples: a few validation images an epoch with what the model says about them, drawn and uploaded aside."""

from __future__ import annotations

import io
import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .contracts import Prediction
from .drawing import describe_prediction, draw_prediction
from .failures import AttemptReplaced
from .run import TrainerJob
from .storage import join_uri

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

log = logging.getLogger(__name__)

_MAX_WAITING = 8
_JPEG_QUALITY = 85
_LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class _Waiting:
    epoch: int
    step: int
    number: int
    sample_id: str
    image: Image.Image
    prediction: Prediction
    truth: str | None
    mask: NDArray[np.uint8] | None


class SamplePublisher:
    """Publishes at most `per_epoch` samples an epoch. `publish` returns at once; what does not keep up is dropped.

    The pictures lie under OUTPUT_URI in `samples/a<attempt>/`. Trouble with one is logged and ends nothing.
    """

    def __init__(self, job: TrainerJob, per_epoch: int = 4, *, skeleton: Sequence[Sequence[float]] = ()) -> None:
        self._job = job
        self._per_epoch = per_epoch
        self._skeleton = skeleton
        self._epoch = -1
        self._published = 0
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)
        self._thread.start()

    def wants(self, epoch: int) -> bool:
        """Whether another sample of this epoch would be taken: asks before an image is made for nothing."""
        return epoch != self._epoch or self._published < self._per_epoch

    def publish(
        self,
        *,
        epoch: int,
        step: int,
        sample_id: str,
        image: Image.Image,
        prediction: Prediction,
        truth: str | None = None,
        mask: NDArray[np.uint8] | None = None,
    ) -> bool:
        """Hands one sample over; returns whether it was taken. `image` and `mask` must not be changed afterwards."""
        if not self.wants(epoch):
            return False
        if epoch != self._epoch:
            self._epoch, self._published = epoch, 0
        waiting = _Waiting(epoch, step, self._published, sample_id, image, prediction, truth, mask)
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            return False
        self._published += 1
        return True

    def close(self, timeout_s: float) -> None:
        """Waits until what was taken is out, at most `timeout_s` seconds, and ends the thread."""
        deadline = time.monotonic() + timeout_s
        try:
            self._queue.put(None, timeout=max(0.01, timeout_s))
        except queue.Full:
            return
        self._thread.join(max(0.01, deadline - time.monotonic()))

    def _run(self) -> None:
        while (waiting := self._queue.get()) is not None:
            try:
                self._send(waiting)
            except AttemptReplaced:
                return
            except Exception as error:  # a picture for people is not worth a training
                log.warning("sample %s is not shown: %s", waiting.sample_id, error)

    def _send(self, waiting: _Waiting) -> None:
        drawn = draw_prediction(waiting.image, waiting.prediction, waiting.mask, self._skeleton)
        buffer = io.BytesIO()
        drawn.save(buffer, "JPEG", quality=_JPEG_QUALITY)
        name = f"e{waiting.epoch:05d}-{waiting.number:02d}.jpg"
        env = self._job.env
        uri = join_uri(env.output_uri, "samples", f"a{env.attempt}", name)
        self._job.storage.upload_bytes(buffer.getvalue(), uri, media_type="image/jpeg")
        self._job.events.publish(
            "sample",
            {
                "epoch": waiting.epoch,
                "step": waiting.step,
                "sample_id": waiting.sample_id[:300],
                "image_uri": uri,
                "prediction": describe_prediction(waiting.prediction),
                "truth": None if waiting.truth is None else waiting.truth[:_LONGEST_TEXT],
            },
        )
