"""The name of an archive entry: decoded, judged, and cut into components. It never becomes a path on disk."""

from __future__ import annotations

import re
import unicodedata
import zipfile
from dataclasses import dataclass

from .findings import Code
from .limits import Limits

_UTF8_FLAG = 0x800
_DRIVE = re.compile(r"[A-Za-z]:")
_JUNK = frozenset({"__macosx", "thumbs.db", "desktop.ini", "ehthumbs.db"})

# Names that only an attack or a broken tool writes: such an archive is refused as a whole, never skipped over.
HOSTILE_CODES = frozenset({Code.PATH_ESCAPE, Code.NAME_INVALID})


@dataclass(frozen=True, slots=True)
class BadName(Exception):  # noqa: N818 - carries a finding to the caller
    """Why a name is refused."""

    code: Code
    reason: str


def entry_name(info: zipfile.ZipInfo) -> str:
    """The name as its author wrote it, in NFC. Raises BadName(NAME_NOT_UTF8).

    zipfile cuts `filename` at a NUL and decodes names without the UTF-8 flag as cp437, although macOS and many
    Linux tools write UTF-8 there; so this starts from `orig_filename` and the bytes behind it.
    """
    name = info.orig_filename
    if not info.flag_bits & _UTF8_FLAG and not name.isascii():
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            raise BadName(Code.NAME_NOT_UTF8, "The name is not UTF-8; make the zip again with UTF-8 names.") from None
    return unicodedata.normalize("NFC", name)


def split_name(name: str, limits: Limits) -> tuple[str, ...]:
    """The components of a name, without a leading `./` or a trailing slash. Raises BadName."""
    if not name.isprintable() and any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        raise BadName(Code.NAME_INVALID, "The name holds a control character.")
    slashed = name.replace("\\", "/")
    if slashed.startswith("/") or _DRIVE.match(slashed) or ".." in slashed.split("/"):
        raise BadName(Code.PATH_ESCAPE, "The name is absolute or leads outside the archive.")
    if slashed != name:
        raise BadName(Code.NAME_INVALID, "The name uses backslashes; make the zip again with forward slashes.")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if not parts:
        raise BadName(Code.NAME_INVALID, "The name is empty.")
    if len(name.encode()) > limits.path_bytes or any(len(part.encode()) > limits.component_bytes for part in parts):
        raise BadName(
            Code.NAME_TOO_LONG,
            f"The name is longer than {limits.component_bytes} bytes a component or {limits.path_bytes} in all.",
        )
    if len(parts) > limits.path_depth:
        raise BadName(Code.PATH_TOO_DEEP, f"The file lies more than {limits.path_depth} folders deep.")
    return parts


def is_junk(parts: tuple[str, ...]) -> bool:
    """Whether an operating system left this behind (hidden files, `__MACOSX`, thumbnails): counted, not reported."""
    return any(part.startswith(".") or part.lower() in _JUNK for part in parts)


def fold(name: str) -> str:
    """Equal for names that a case-insensitive file system would take for one."""
    return unicodedata.normalize("NFC", name).casefold()
