"""From the bytes of a file to pixels. Every trainer decodes here, so that all see the same upright picture."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from .contracts import DatasetSample
from .dataset import DatasetReader
from .failures import FailureCode, TrainerFailure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

ORIENTATION_TAG = 0x0112
_UPRIGHT = 1
_IGNORED = 255


def decode_image(content: bytes, name: str) -> Image.Image:
    """The picture as RGB, turned upright by its EXIF orientation. `name` is what the message calls it.

    Values above 8 bits are clipped and transparency is dropped, as Pillow's convert does. Raises DATASET_INVALID.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow warns at half of the size at which it refuses; the ingest has judged the size already.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                turned = orientation_of(image)
                image.load()
                return _upright(image.convert("RGB"), turned)
    except (Image.DecompressionBombError, OSError, ValueError, SyntaxError, OverflowError, MemoryError) as error:
        raise _undecodable(name, error) from error


def sample_image(reader: DatasetReader, sample: DatasetSample) -> Image.Image:
    """The sample's picture as RGB. Raises DATASET_INVALID, also when it has not the size that the index says."""
    image = decode_image(reader.read(sample), sample.member)
    if image.size != (sample.width, sample.height):
        raise TrainerFailure(
            FailureCode.DATASET_INVALID,
            f"{sample.member} is {image.width} x {image.height} pixels, its index says {sample.width} x "
            f"{sample.height}: its annotations would not fit.",
        )
    return image


def sample_mask(reader: DatasetReader, sample: DatasetSample) -> NDArray[np.uint8]:
    """The sample's class indices, height x width; 255 is ignored. Raises DATASET_INVALID.

    An index that no class has is refused here, because it would end a GPU job without a word about the file.
    """
    import numpy as np
    from PIL import Image

    content = reader.read_mask(sample)
    member = sample.mask.member if sample.mask else sample.id
    try:
        with Image.open(io.BytesIO(content)) as image:
            mode, mask = image.mode, np.array(image)
    except (Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise _undecodable(member, error) from error
    problem = None
    highest = int(mask.max(initial=0, where=mask != _IGNORED)) if mode in ("L", "P") else 0
    if mode not in ("L", "P"):
        problem = f"is a PNG of mode {mode}, and 8 bits a pixel are expected"
    elif mask.shape != (sample.height, sample.width):
        problem = f"is {mask.shape[1]} x {mask.shape[0]} pixels, its image {sample.width} x {sample.height}"
    elif highest >= len(reader.classes):
        problem = f"holds class {highest}, and the dataset has {len(reader.classes)} classes"
    if problem:
        raise TrainerFailure(FailureCode.DATASET_INVALID, f"The mask {member} {problem}.")
    return mask.astype(np.uint8, copy=False)


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8; 1 where there is none or it cannot be read."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, _UPRIGHT)
    except Exception:  # EXIF is a second hostile format inside the first; without it the picture is still good
        return _UPRIGHT
    return value if isinstance(value, int) and 1 <= value <= 8 else _UPRIGHT


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    """Undoes the camera's turn; the meaning of the numbers is that of the EXIF standard, section 4.6.4."""
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _undecodable(name: str, error: BaseException) -> TrainerFailure:
    return TrainerFailure(FailureCode.DATASET_INVALID, f"{name} cannot be decoded: {type(error).__name__}.")
