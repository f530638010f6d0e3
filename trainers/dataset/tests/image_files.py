"""Small real image files for tests, made by Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image


def encoded(
    kind: str = "PNG", shade: int = 0, size: tuple[int, int] = (8, 6), mode: str = "RGB", **options: Any
) -> bytes:
    """A one-colour image, different for every `shade`."""
    colour: Any = shade % 256 if mode in ("L", "I;16") else (shade % 256, shade // 256 % 256, 7)
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, kind, **options)
    return buffer.getvalue()


def noisy(kind: str, seed: int = 1, side: int = 64, **options: Any) -> bytes:
    """An image that does not compress, so that half of its bytes are half of its pixels."""
    buffer = io.BytesIO()
    pixels = zlib.compress(bytes((seed * i * i + i // 3) % 251 for i in range(side * side * 3)), 0)
    stretched = (pixels * (side * side * 3 // len(pixels) + 1))[: side * side * 3]
    Image.frombytes("RGB", (side, side), stretched).save(buffer, kind, **options)
    return buffer.getvalue()


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 100, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=50)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A tiny PNG whose header claims any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def png_with_text_bomb() -> bytes:
    """A PNG with 200 MB of compressed text in front of its pixels."""
    good = encoded("PNG")
    text = b"Comment\0\0" + zlib.compress(b"\0" * 200_000_000, 9)
    return good[:33] + _chunk(b"zTXt", text) + good[33:]


def webp_claiming(width: int, height: int) -> bytes:
    """An animated-format WebP header that claims a canvas of up to 2^24 pixels a side."""
    canvas = bytes([2, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", len(canvas)) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
