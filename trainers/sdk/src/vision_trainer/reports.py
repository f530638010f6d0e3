"""What evaluate, predict and export leave behind: evaluation.json, predictions.jsonl with overlays, export/."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from .contract_json import to_contract_json
from .contracts import EvaluationReport, ExportReport, Mask1, Prediction
from .dataset import DatasetReader
from .drawing import draw_prediction
from .failures import FailureCode, TrainerFailure
from .images import decode_image, sample_image
from .run import TrainerJob
from .storage import ObjectMissing, ObjectTooLarge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

_LARGEST_IMAGE_BYTES = 64 << 20
_MOST_IMAGES = 10_000
_FETCHED_AHEAD = 4
_JPEG_QUALITY = 85


def prediction_images(
    job: TrainerJob, reader: DatasetReader | None, split: str | None = None
) -> Iterator[tuple[str, Image.Image]]:
    """(name, RGB image) of everything to predict on: `config.images`, or else the samples of `split` of the dataset.

    The name is the s3:// address or the sample's id. Images are fetched a few ahead. Raises BAD_CONFIG for a list that
    is none or a split that the dataset has not, DATASET_INVALID for an image that is missing or cannot be decoded.
    """
    images = job.env.config.get("images")
    if images is not None:
        yield from _fetched(job, _checked_addresses(job, images))
        return
    if reader is None:
        raise _bad_config("images: found nothing, expected s3:// addresses or a dataset")
    wanted = split or next((name for name in ("val", "test", "train") if reader.split(name)), "val")
    samples = reader.split(wanted)
    if not samples:
        names = ", ".join(sorted({sample.split for sample in reader.samples}))
        raise _bad_config(f"split: found {wanted!r}, expected a split of the dataset ({names})")
    for sample in samples:
        yield sample.id, sample_image(reader, sample)


class PredictionWriter:
    """Writes one prediction a line, draws the first `max_overlays`, and uploads all of it with `finish`.

    `classes` names the shares of a semantic segmentation; `skeleton` joins key points in the drawings.
    """

    def __init__(
        self,
        job: TrainerJob,
        max_overlays: int = 50,
        *,
        classes: Sequence[str] = (),
        skeleton: Sequence[Sequence[float]] = (),
    ) -> None:
        self._job = job
        self._max_overlays = max_overlays
        self._classes = classes
        self._skeleton = skeleton
        self._path = job.work_dir / "predictions.jsonl"
        self._file = self._path.open("w", encoding="utf-8")
        self.count = 0

    def add(self, prediction: Prediction, image: Image.Image, mask: NDArray[np.uint8] | None = None) -> Prediction:
        """Takes one prediction in; returns it with the names of its overlay and its mask filled in.

        `mask` (height x width of class indices) is stored as the artifact `masks/<number>.png`. Raises STORAGE_FAILURE.
        """
        if mask is not None:
            prediction = prediction.model_copy(update={"mask": self._stored_mask(mask)})
        if self.count < self._max_overlays:
            drawn = draw_prediction(image, prediction, mask, self._skeleton)
            prediction = prediction.model_copy(update={"overlay": f"overlays/{self.count:05d}.jpg"})
            _add_jpeg(self._job, drawn, f"overlays/{self.count:05d}.jpg")
        self._file.write(to_contract_json(prediction) + "\n")
        self.count += 1
        return prediction

    def finish(self) -> None:
        """Uploads predictions.jsonl. Raises BAD_CONFIG when there was nothing to predict, STORAGE_FAILURE."""
        self._file.close()
        if self.count == 0:
            raise _bad_config("images: found an empty list, expected one image or more")
        self._job.result.add_artifact(self._path, "predictions.jsonl")

    def _stored_mask(self, mask: NDArray[np.uint8]) -> Mask1:
        import numpy as np
        from PIL import Image

        name = f"masks/{self.count:05d}.png"
        path = self._job.work_dir / f"mask-{self.count}.png"
        Image.fromarray(np.asarray(mask, np.uint8)).save(path)
        self._job.result.add_artifact(path, name)
        path.unlink()
        pixels = np.bincount(np.asarray(mask).ravel(), minlength=256)
        shares = {
            self._classes[category] if category < len(self._classes) else str(category): round(
                int(count) / mask.size, 6
            )
            for category, count in enumerate(pixels)
            if count
        }
        return Mask1(artifact=name, shares=shares)


def write_evaluation(job: TrainerJob, report: EvaluationReport, overlays: Sequence[Image.Image] = ()) -> None:
    """Uploads evaluation.json and the pictures of the worst samples, in the order of `report.worst`.

    Raises STORAGE_FAILURE, and ValueError for more pictures than worst samples.
    """
    if len(overlays) > len(report.worst):
        raise ValueError(f"{len(overlays)} overlays for {len(report.worst)} worst samples")
    for number, overlay in enumerate(overlays):
        name = f"overlays/worst-{number:02d}.jpg"
        _add_jpeg(job, overlay, name)
        report.worst[number].overlay = name
    path = job.work_dir / "evaluation.json"
    path.write_text(to_contract_json(report, indent=1))
    job.result.add_artifact(path, "evaluation.json")


def write_export(job: TrainerJob, folder: Path, report: ExportReport) -> None:
    """Uploads every file of `folder` and export.json under `export/`.

    Raises FRAMEWORK_ERROR, with the figures and before anything is uploaded, when the exported model does not give what
    the original gives: the largest difference is above the tolerance. Raises STORAGE_FAILURE.
    """
    parity = report.parity
    # Written so that a difference that is no number fails too.
    if not parity.max_abs_diff <= parity.tolerance:
        raise TrainerFailure(
            FailureCode.FRAMEWORK_ERROR,
            f"The exported model ({report.format}, {report.engine}) differs from the original by up to "
            f"{parity.max_abs_diff:.3g} on {parity.samples} samples, above the tolerance {parity.tolerance:.3g}; "
            f"{parity.metric} {parity.metric_original} became {parity.metric_exported}.",
        )
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            job.result.add_artifact(path, path.relative_to(folder).as_posix(), folder="export")
    summary = job.work_dir / "export.json"
    summary.write_text(to_contract_json(report, indent=1))
    job.result.add_artifact(summary, "export.json", folder="export")


def _checked_addresses(job: TrainerJob, images: object) -> list[str]:
    prefix = f"s3://{job.env.storage.bucket}/"
    if not isinstance(images, list) or not 1 <= len(images) <= _MOST_IMAGES:
        raise _bad_config(f"images: found {json.dumps(images)[:100]}, expected a list of 1 to {_MOST_IMAGES} addresses")
    for address in images:
        if not isinstance(address, str) or not address.startswith(prefix) or len(address) > 2000:
            raise _bad_config(f"images: found {str(address)[:200]!r}, expected an address that begins with {prefix}")
    return images


def _fetched(job: TrainerJob, addresses: list[str]) -> Iterator[tuple[str, Image.Image]]:
    def fetch(address: str) -> Image.Image:
        try:
            content = job.storage.read_bytes(address, limit_bytes=_LARGEST_IMAGE_BYTES)
        except (ObjectMissing, ObjectTooLarge) as error:
            raise TrainerFailure(FailureCode.DATASET_INVALID, f"The image {error.message}") from error
        return decode_image(content, address)

    pool = ThreadPoolExecutor(_FETCHED_AHEAD, thread_name_prefix="images")
    try:
        rest = iter(addresses)
        waiting: list[tuple[str, Future[Image.Image]]] = [
            (address, pool.submit(fetch, address)) for address in islice(rest, _FETCHED_AHEAD)
        ]
        while waiting:
            address, future = waiting.pop(0)
            image = future.result()
            waiting += [(following, pool.submit(fetch, following)) for following in islice(rest, 1)]
            yield address, image
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _add_jpeg(job: TrainerJob, image: Image.Image, name: str) -> None:
    path = job.work_dir / "overlay.jpg"
    image.convert("RGB").save(path, "JPEG", quality=_JPEG_QUALITY)
    job.result.add_artifact(path, name)


def _bad_config(problem: str) -> TrainerFailure:
    return TrainerFailure(FailureCode.BAD_CONFIG, f"CONFIG_JSON: {problem}.")
