"""Writes TensorBoard event files byte by byte, as the format's description has them."""

from __future__ import annotations

import struct


def varint(number: int) -> bytes:
    out = b""
    while True:
        number, low = number >> 7, number & 0x7F
        out += bytes([low | (0x80 if number else 0)])
        if not number:
            return out


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def event(step: int, tag: str, value: float, *, tensor: bool = False) -> bytes:
    """A framed record with one scalar, as simple_value or as a float tensor."""
    if tensor:
        body = field(8, varint(1 << 3) + varint(1) + field(4, struct.pack("<f", value)))
    else:
        body = varint(2 << 3 | 5) + struct.pack("<f", value)
    summary = field(1, field(1, tag.encode()) + body)
    message = varint(1 << 3 | 1) + struct.pack("<d", 1.5) + varint(2 << 3) + varint(step) + field(5, summary)
    return struct.pack("<QI", len(message), 0) + message + struct.pack("<I", 0)
