"""Reads JSON too large to hold: the members of an object, arrays item by item, in bounded memory."""

from __future__ import annotations

import codecs
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from .findings import Code
from .labels import BadAnnotation

_CHUNK_BYTES = 256 * 1024
_NUMBER_TAIL = 2
_SPACE = " \t\n\r"
_READ_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, OSError)


@dataclass(frozen=True, slots=True)
class Part:
    """One item of the array `key`, or the whole value of `key`; `text` is how it was written.

    An array begins with a part whose `item` is False and whose value is the empty list.
    """

    key: str
    value: Any
    text: str
    item: bool


def json_parts(stream: IO[bytes], piece_bytes: int) -> Iterator[Part]:
    """The parts of the JSON object, or of the array (its key is ""), in `stream`; none longer than `piece_bytes`.

    Raises BadAnnotation: ANNOTATION_CORRUPT with the position, ANNOTATION_BOMB for endless nesting,
    ANNOTATION_TOO_LARGE, FILE_CORRUPT.
    """
    text = _Text(stream, piece_bytes)
    first = text.peek()
    if first == "[":
        yield from _items(text, "")
    elif first == "{":
        yield from _members(text)
    else:
        raise text.corrupt("expected { or [")
    if text.peek():
        raise text.corrupt("expected nothing more")


def _members(text: _Text) -> Iterator[Part]:
    text.skip()
    if text.peek() == "}":
        text.skip()
        return
    while True:
        if text.peek() != '"':
            raise text.corrupt("expected a name in double quotes")
        key = str(text.value()[0])
        if text.peek() != ":":
            raise text.corrupt("expected :")
        text.skip()
        if text.peek() == "[":
            yield from _items(text, key)
        else:
            value, raw = text.value()
            yield Part(key, value, raw, False)
        if text.ends("}"):
            return


def _items(text: _Text, key: str) -> Iterator[Part]:
    text.skip()
    yield Part(key, [], "[]", False)
    if text.peek() == "]":
        text.skip()
        return
    while True:
        value, raw = text.value()
        yield Part(key, value, raw, True)
        if text.ends("]"):
            return


class _Text:
    """A window over the stream that grows until it holds a whole value, up to `piece_bytes` characters."""

    def __init__(self, stream: IO[bytes], piece_bytes: int) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()
        self._piece = piece_bytes
        self._text = ""
        self._at = 0
        self._passed = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill(_CHUNK_BYTES):
                return ""

    def skip(self) -> None:
        """Passes the character that `peek` showed."""
        self._at += 1

    def ends(self, closing: str) -> bool:
        """Passes a comma or `closing`; whether it was `closing`."""
        found = self.peek()
        if found not in (",", closing) or not found:
            raise self.corrupt(f"expected , or {closing}")
        self.skip()
        return found == closing

    def value(self) -> tuple[Any, str]:
        """The next value and its text."""
        self.peek()
        wanted = _CHUNK_BYTES
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
                # A number near the end of the window may go on behind it: 1 is all that can be read of `1e+`.
                if end + _NUMBER_TAIL < len(self._text) or self._ended:
                    raw = self._text[self._at : end]
                    self._at = end
                    return value, raw
            except RecursionError:
                raise BadAnnotation(Code.ANNOTATION_BOMB, "The JSON is nested too deeply.") from None
            except json.JSONDecodeError as error:
                if self._ended:
                    raise self.corrupt(error.msg, error.pos - self._at) from None
            except ValueError as error:  # a number of thousands of digits
                raise self.corrupt(str(error)) from None
            if len(self._text) - self._at > self._piece:
                reason = f"One entry of the JSON, at character {self._passed + self._at}, never ends or is too large."
                raise BadAnnotation(Code.ANNOTATION_TOO_LARGE, reason)
            self._fill(wanted)
            wanted *= 2

    def corrupt(self, expected: str, ahead: int = 0) -> BadAnnotation:
        """What to raise when the next characters are no JSON."""
        position = self._passed + self._at + ahead
        return BadAnnotation(Code.ANNOTATION_CORRUPT, f"The JSON is damaged at character {position}: {expected}.")

    def _fill(self, size: int) -> bool:
        """Reads on; False at the end. Forgets what was passed."""
        try:
            data = self._stream.read(size)
            more = self._decode.decode(data, final=not data)
        except UnicodeDecodeError:
            raise BadAnnotation(Code.ANNOTATION_CORRUPT, "The file is not UTF-8 text.") from None
        except _READ_ERRORS:
            reason = "The file is damaged inside the zip (wrong checksum or length)."
            raise BadAnnotation(Code.FILE_CORRUPT, reason) from None
        self._ended = not data
        self._passed += self._at
        self._text = self._text[self._at :] + more
        self._at = 0
        return bool(data)
