"""Scalars out of TensorBoard event files, without TensorFlow: the record framing and the few protobuf fields needed.

Formats: TFRecord (length u64, crc u32, data, crc u32) of tensorflow/core/lib/io/record_writer.h; Event and Summary of
tensorflow/core/framework/summary.proto and tensorflow/core/util/event.proto. Checksums are not checked: a record that
is not whole yet is read later.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEADER_BYTES, _FOOTER_BYTES = 12, 4
_LARGEST_RECORD = 16 << 20
_READ_AT_ONCE = 4 << 20
_DT_FLOAT, _DT_DOUBLE = 1, 2


@dataclass(frozen=True, slots=True)
class Scalar:
    """One point."""

    tag: str
    step: int
    value: float


class EventFile:
    """Follows one file. After `skip` only what is added later is read."""

    def __init__(self, path: Path, *, skip: bool = False) -> None:
        self.path = path
        self._offset = path.stat().st_size if skip else 0
        self._broken = False

    def poll(self) -> Iterator[Scalar]:
        """The scalars that were added since. A file that is none yields nothing more."""
        while not self._broken:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_READ_AT_ONCE + _LARGEST_RECORD)
            position = 0
            while position + _HEADER_BYTES <= len(data):
                length = int.from_bytes(data[position : position + 8], "little")
                if length > _LARGEST_RECORD:
                    self._broken = True
                    break
                end = position + _HEADER_BYTES + length
                if end + _FOOTER_BYTES > len(data):
                    break
                try:
                    yield from _scalars(data[position + _HEADER_BYTES : end])
                except (ValueError, IndexError, struct.error):
                    self._broken = True
                    break
                position = end + _FOOTER_BYTES
            self._offset += position
            if position == 0:
                return


def _scalars(event: bytes) -> Iterator[Scalar]:
    step, summaries = 0, []
    for number, value in _fields(event):
        if number == 2 and isinstance(value, int):
            step = value
        elif number == 5 and isinstance(value, bytes):
            summaries.append(value)
    for summary in summaries:
        for number, value in _fields(summary):
            if number == 1 and isinstance(value, bytes):
                tag, figure = _value(value)
                if tag and figure is not None:
                    yield Scalar(tag, step, figure)


def _value(message: bytes) -> tuple[str, float | None]:
    """Summary.Value: tag 1, simple_value 2, tensor 8."""
    tag, figure = "", None
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            tag = value.decode(errors="replace")
        elif number == 2 and isinstance(value, bytes) and len(value) == 4:
            figure = struct.unpack("<f", value)[0]
        elif number == 8 and isinstance(value, bytes):
            figure = _tensor(value)
    return tag, figure


def _tensor(message: bytes) -> float | None:
    """TensorProto with one element: dtype 1, tensor_content 4, float_val 5, double_val 6."""
    kind, content = 0, b""
    for number, value in _fields(message):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number in (4, 5, 6) and isinstance(value, bytes):
            content = value
    if kind == _DT_FLOAT and len(content) == 4:
        return float(struct.unpack("<f", content)[0])
    return float(struct.unpack("<d", content)[0]) if kind == _DT_DOUBLE and len(content) == 8 else None


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a protobuf message: varints as int, everything else as bytes. Raises ValueError."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire = key & 7
        if wire == 0:
            number, position = _varint(message, position)
            yield key >> 3, number
            continue
        if wire == 2:
            length, position = _varint(message, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if position + length > len(message):
            raise ValueError("a field is longer than its message")
        yield key >> 3, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number has no end")
