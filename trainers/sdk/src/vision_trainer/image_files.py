"""Writes a sample's image as a file that any framework decodes to the same upright picture."""

from __future__ import annotations

import io
from pathlib import Path

from .contracts import DatasetSample
from .dataset import DatasetReader
from .failures import FailureCode, TrainerFailure
from .images import orientation_of, sample_image

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


def write_image(reader: DatasetReader, sample: DatasetSample, folder: Path) -> Path:
    """Writes `<folder>/<id>.<ext>` and returns its path: the bytes as they are, or a PNG where EXIF turns the picture.

    Raises DATASET_INVALID for a file that is no image.
    """
    from PIL import Image

    content = reader.read(sample)
    suffix = Path(sample.member).suffix.lower()
    try:
        with Image.open(io.BytesIO(content)) as image:
            turned = orientation_of(image) != 1
    except (Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise TrainerFailure(
            FailureCode.DATASET_INVALID, f"{sample.member} cannot be decoded: {type(error).__name__}."
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    if not turned and suffix in _SUFFIXES:
        path = folder / f"{sample.id}{suffix}"
        path.write_bytes(content)
        return path
    path = folder / f"{sample.id}.png"
    sample_image(reader, sample).save(path)
    return path
