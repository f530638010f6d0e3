"""Decodes one image completely, and says in plain words what is wrong when that fails."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from .findings import Code
from .limits import DEFAULT_LIMITS, Limits

# A decoder registers itself when imported. These five are all there are: no other parser ever sees an upload.
DECODERS = (BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)
_EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif"}
_HIGH_BIT_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_ORIENTATION_TAG = 0x0112
_UPRIGHT = 1
_FIRST_SIDEWAYS = 5
_LARGE_PIXELS = 16_000_000
_ONE_AT_A_TIME = threading.Lock()
# Pillow's own guard refuses images of twice this size as soon as their header is read; ours is exact.
Image.MAX_IMAGE_PIXELS = DEFAULT_LIMITS.image_pixels


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a complete decode found. Sizes are in pixels as stored, before the EXIF `orientation` (1 to 8) is applied.

    `histogram` counts the 8-bit values: 256 entries for grey, 768 for red, green and blue.
    """

    extension: str
    width: int
    height: int
    orientation: int
    histogram: list[int]
    high_bit_depth: bool
    multi_page: bool

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height once the orientation is applied: what a sample states and its coordinates belong to."""
        return (self.height, self.width) if self.orientation >= _FIRST_SIDEWAYS else (self.width, self.height)


class BadImage(Exception):  # noqa: N818 - carries a finding to the caller
    """Why a file cannot be trained on."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def check_image(data: bytes, limits: Limits) -> ImageFacts:
    """Decodes the first frame of `data`, a whole file. Raises BadImage."""
    with open_image(data, limits) as (image, kind):
        return _facts(image, kind)


@contextmanager
def open_image(data: bytes, limits: Limits) -> Iterator[tuple[Image.Image, str]]:
    """The first frame of `data`, completely decoded, and its format. Raises BadImage.

    The size is read from the header and checked before any pixel is decoded. Safe in several threads, of which only
    one at a time decodes an image so large that two would not fit into memory.
    """
    if not data:
        raise BadImage(Code.EMPTY_FILE, "The file has zero bytes.")
    kind = _sniff(data)
    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as image:
            _check_header(image, kind, limits)
            with large_image_turn(image.width * image.height):
                image.load()
                yield image, kind
    except BadImage:
        raise
    except Image.DecompressionBombError:
        raise _too_large(limits) from None
    except MemoryError:
        raise BadImage(Code.IMAGE_TOO_LARGE, "The image does not fit into memory.") from None
    except Exception as error:  # decoders raise whatever a hostile file makes them stumble over
        raise _broken(data, kind, error) from error


def large_image_turn(pixels: int) -> AbstractContextManager[object]:
    """To be entered while working on the pixels of an image: of the large ones only one is worked on at a time."""
    return _ONE_AT_A_TIME if pixels > _LARGE_PIXELS else nullcontext()


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Broken EXIF and the like are no reason to refuse a picture that decodes, nor to write it into the log.

    Filters are the process's: to be entered once, around all threads that decode.
    """
    with warnings.catch_warnings(action="ignore"):
        yield


def _sniff(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM"):
        return "BMP"
    if data.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "TIFF"
    if data.startswith((b"GIF8", b"\x00\x00\x01\x00", b"8BPS")) or data[4:8] == b"ftyp":
        raise BadImage(
            Code.UNSUPPORTED_FORMAT, "The content is an image format other than JPEG, PNG, WebP, BMP or TIFF."
        )
    text = data[:512].lstrip().lower()
    what = "an HTML page" if text.startswith((b"<!doctype html", b"<html")) else "not an image"
    raise BadImage(Code.NOT_AN_IMAGE, f"The file is named like an image but its content is {what}.")


def _check_header(image: Image.Image, kind: str, limits: Limits) -> None:
    if image.width * image.height > limits.image_pixels:
        raise _too_large(limits)
    if kind in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise BadImage(Code.IMAGE_ANIMATED, "The image is an animation; use single frames.")


def _facts(image: Image.Image, kind: str) -> ImageFacts:
    width, height = image.size
    mode = image.mode
    orientation = _orientation(image, kind)
    flat = image if mode in ("L", "RGB") else image.convert("RGB")
    return ImageFacts(
        extension=_EXTENSIONS[kind],
        width=width,
        height=height,
        orientation=orientation,
        histogram=flat.histogram(),
        high_bit_depth=mode in _HIGH_BIT_MODES,
        multi_page=kind == "TIFF" and _has_second_page(image),
    )


def _orientation(image: Image.Image, kind: str) -> int:
    if kind != "TIFF" and "exif" not in image.info:
        return _UPRIGHT
    try:
        value = image.getexif().get(_ORIENTATION_TAG, _UPRIGHT)
    except Exception:  # EXIF is a second hostile format inside the first; without it the picture is still good
        return _UPRIGHT
    return value if isinstance(value, int) and 1 <= value <= 8 else _UPRIGHT


def _has_second_page(image: Image.Image) -> bool:
    try:
        image.seek(1)
    except Exception:  # no second page, or one that nobody will ever decode
        return False
    return True


def _too_large(limits: Limits) -> BadImage:
    megapixels = limits.image_pixels // 1_000_000
    return BadImage(Code.IMAGE_TOO_LARGE, f"The image has more than {megapixels} megapixels.")


def _broken(data: bytes, kind: str, error: Exception) -> BadImage:
    if _is_cut_short(data, kind) or "truncated" in str(error).lower():
        return BadImage(Code.IMAGE_TRUNCATED, "The image ends in the middle; copy the file again.")
    return BadImage(Code.IMAGE_CORRUPT, "The image is damaged and cannot be decoded.")


def _is_cut_short(data: bytes, kind: str) -> bool:
    """Whether the end that the format demands is missing; only asked once decoding has failed."""
    if kind == "PNG":
        return b"IEND" not in data
    if kind == "JPEG":
        return b"\xff\xd9" not in data
    if kind == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    return kind == "BMP" and int.from_bytes(data[2:6], "little") > len(data)
