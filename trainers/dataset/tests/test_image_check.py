"""What a complete decode of a good file tells."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from dataset_trainer.findings import Code
from dataset_trainer.image_check import BadImage, check_image
from dataset_trainer.limits import DEFAULT_LIMITS, Limits
from image_files import animated, encoded, noisy


@pytest.mark.parametrize(
    ("kind", "extension"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("BMP", "bmp"), ("TIFF", "tif")]
)
def test_the_five_formats_are_accepted(kind: str, extension: str) -> None:
    facts = check_image(encoded(kind, size=(9, 5)), DEFAULT_LIMITS)
    assert (facts.extension, facts.width, facts.height, facts.orientation) == (extension, 9, 5, 1)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK", "I;16"])
def test_other_colour_modes_are_accepted(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "I;16") else "PNG"
    facts = check_image(encoded_as(mode, kind), DEFAULT_LIMITS)
    assert facts.high_bit_depth == (mode == "I;16")
    assert sum(facts.histogram) == 48 * (1 if mode == "L" else 3)


def test_the_orientation_of_a_camera_is_noted() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    facts = check_image(encoded("JPEG", size=(9, 5), exif=exif), DEFAULT_LIMITS)
    assert (facts.width, facts.height, facts.orientation) == (9, 5, 6)


def test_pages_after_the_first_are_noted() -> None:
    assert check_image(animated("TIFF"), DEFAULT_LIMITS).multi_page
    assert not check_image(encoded("TIFF"), DEFAULT_LIMITS).multi_page


def test_pictures_of_phones_are_plain_jpeg_to_us() -> None:
    # Many phones append a depth map or a preview: Pillow calls that MPO and sees two frames.
    facts = check_image(animated("MPO"), DEFAULT_LIMITS)
    assert (facts.extension, facts.multi_page) == ("jpg", False)


def test_the_pixel_limit_is_exact() -> None:
    limits = Limits(image_pixels=64 * 64)
    assert check_image(noisy("PNG", side=64), limits).width == 64
    with pytest.raises(BadImage) as refused:
        check_image(noisy("PNG", side=65), limits)
    assert refused.value.code == Code.IMAGE_TOO_LARGE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_any_prefix_of_a_file_ends_in_a_verdict(kind: str) -> None:
    whole = noisy(kind, side=24)
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        try:
            check_image(whole[:length], DEFAULT_LIMITS)
        except BadImage as bad:
            assert bad.reason


def encoded_as(mode: str, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (8, 6)).save(buffer, kind)
    return buffer.getvalue()
