"""Archives that must be refused, each with the code that says why. All are made here, none is downloaded."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable

from image_files import animated, encoded, noisy, png_claiming, png_with_text_bomb, webp_claiming

Entry = tuple[str | zipfile.ZipInfo, bytes]
_STORED = zipfile.ZIP_STORED


def zip_of(*entries: Entry, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries:
            with warnings.catch_warnings(action="ignore"):  # about names that come twice: one case is made of them
                archive.writestr(name, content)
    return buffer.getvalue()


def good_entries() -> list[Entry]:
    """Two classes in train and val: what every hostile archive below spoils in one way."""
    return [
        (f"{split}/{label}/{number}.png", encoded(shade=100 * split_at + 10 * label_at + number))
        for split_at, split in enumerate(("train", "val"))
        for label_at, label in enumerate(("cat", "dog"))
        for number in range(3)
    ]


def with_extra(name: str | zipfile.ZipInfo, content: bytes = b"", *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    return zip_of(*good_entries(), (name, content or encoded(shade=999)), compression=compression)


def without(prefix: str, *extra: Entry) -> bytes:
    return zip_of(*(entry for entry in good_entries() if not str(entry[0]).startswith(prefix)), *extra)


def hostile_archives() -> dict[str, tuple[str, Callable[[], bytes]]]:
    """Case name → (expected code, maker)."""
    image = "train/cat/x.png"
    return {
        "traversal": ("PATH_ESCAPE", lambda: with_extra("train/cat/../../../escaped.png")),
        "traversal at the start": ("PATH_ESCAPE", lambda: with_extra("../escaped.png")),
        "traversal in a folder entry": ("PATH_ESCAPE", lambda: with_extra("train/../../escaped/", b"\0")),
        "absolute path": ("PATH_ESCAPE", lambda: with_extra("/tmp/escaped.png")),
        "backslash traversal": ("PATH_ESCAPE", lambda: with_extra("..\\..\\escaped.png")),
        "drive letter": ("PATH_ESCAPE", lambda: with_extra("C:\\escaped.png")),
        "network path": ("PATH_ESCAPE", lambda: with_extra("\\\\server\\share\\escaped.png")),
        "backslashes": ("NAME_INVALID", lambda: with_extra("train\\cat\\x.png")),
        "NUL in the name": ("NAME_INVALID", lambda: renamed("train/cat/x.png", b"train/cat/\0.png")),
        "line feed in the name": ("NAME_INVALID", lambda: with_extra("train/cat/a\n.png")),
        "escape sequence in the name": ("NAME_INVALID", lambda: with_extra("train/cat/\x1b[2J.png")),
        "very long name": ("NAME_TOO_LONG", lambda: with_extra(f"train/cat/{'x' * 300}.png")),
        "very long path": (
            "NAME_TOO_LONG",
            lambda: with_extra(f"train/cat/{'y' * 200}/" + f"{'x' * 200}/" * 6 + "x.png"),
        ),
        "deep path": ("PATH_TOO_DEEP", lambda: with_extra("train/cat/" + "a/" * 20 + "x.png")),
        "name that is not UTF-8": ("NAME_NOT_UTF8", lambda: renamed("train/cat/x.png", b"train/cat/\xff.png")),
        "name marked UTF-8 that is not": (
            "NAME_NOT_UTF8",
            lambda: renamed("train/cat/é.png", b"train/cat/\xff\xff.png"),
        ),
        "symbolic link": ("SYMLINK", lambda: with_extra(_special(image, stat.S_IFLNK), b"/etc/passwd")),
        "device": ("SPECIAL_FILE", lambda: with_extra(_special(image, stat.S_IFCHR), b"x")),
        "named pipe": ("SPECIAL_FILE", lambda: with_extra(_special(image, stat.S_IFIFO), b"x")),
        "same name twice": ("DUPLICATE_FILE", lambda: with_extra("train/cat/0.png")),
        "classes that differ in case": ("CASE_CLASH", lambda: with_extra("train/Cat/9.png")),
        "classes that differ in Unicode form": (
            "CASE_CLASH",
            lambda: zip_of(
                *good_entries(), ("train/straße/1.png", encoded()), ("train/STRASSE/1.png", encoded(shade=3))
            ),
        ),
        "encrypted": ("ENCRYPTED", lambda: flagged(with_extra(image), image, 0x1)),
        "bzip2": ("UNSUPPORTED_COMPRESSION", lambda: with_extra(image, compression=zipfile.ZIP_BZIP2)),
        "lzma": ("UNSUPPORTED_COMPRESSION", lambda: with_extra(image, compression=zipfile.ZIP_LZMA)),
        "zip bomb": ("ARCHIVE_BOMB", lambda: with_extra(image, bytes(120 << 20))),
        "overlapping entries": ("ARCHIVE_BOMB", overlapping),
        "lying size": ("FILE_CORRUPT", lambda: lying_size(with_extra(image, bytes(1 << 20)), image)),
        "entry of 2 GiB": (
            "FILE_TOO_LARGE",
            lambda: claiming_size(with_extra(image, noisy("BMP"), compression=_STORED)),
        ),
        "300,000 entries": ("TOO_MANY_FILES", many_entries),
        "nested zip": ("NESTED_ARCHIVE", lambda: with_extra("train/cat/more.zip", with_extra(image))),
        "nothing but a nested zip": ("UNSUPPORTED_LAYOUT", lambda: zip_of(("data.zip", with_extra(image)))),
        "empty zip": ("UNSUPPORTED_LAYOUT", zip_of),
        "images without folders": ("UNSUPPORTED_LAYOUT", lambda: zip_of(("a.png", encoded()), ("b.png", encoded()))),
        "splits without classes": (
            "UNSUPPORTED_LAYOUT",
            lambda: zip_of(("train/a.png", encoded()), ("val/b.png", encoded())),
        ),
        "splits beside classes": ("UNSUPPORTED_LAYOUT", lambda: with_extra("cat/other/a.png")),
        "image beside the splits": ("MISPLACED_FILE", lambda: with_extra("cover.png")),
        "truncated zip": ("ARCHIVE_CORRUPT", lambda: zip_of(*good_entries())[:-200]),
        "first half of a zip": ("ARCHIVE_CORRUPT", lambda: (whole := zip_of(*good_entries()))[: len(whole) // 2]),
        "garbled directory": ("ARCHIVE_CORRUPT", lambda: zip_of(*good_entries()).replace(b"PK\x01\x02", b"PK\x01\x03")),
        "bit flip in a member": ("FILE_CORRUPT", bit_flip),
        "not a zip": ("NOT_A_ZIP", lambda: b"Rar!\x1a\x07\x01\x00" + bytes(500)),
        "zero-byte upload": ("NOT_A_ZIP", lambda: b""),
        "truncated JPEG": ("IMAGE_TRUNCATED", lambda: with_extra("train/cat/x.jpg", noisy("JPEG")[:-900])),
        "truncated PNG": ("IMAGE_TRUNCATED", lambda: with_extra(image, noisy("PNG")[:2000])),
        "truncated WebP": (
            "IMAGE_TRUNCATED",
            lambda: with_extra("train/cat/x.webp", noisy("WEBP", lossless=True)[:500]),
        ),
        "truncated BMP": ("IMAGE_TRUNCATED", lambda: with_extra("train/cat/x.bmp", noisy("BMP")[:5000])),
        "truncated TIFF": ("IMAGE_TRUNCATED", lambda: with_extra("train/cat/x.tif", noisy("TIFF")[:5000])),
        "garbled PNG": (
            "IMAGE_CORRUPT",
            lambda: with_extra(image, (png := noisy("PNG"))[:60] + b"\xff" * 99 + png[159:]),
        ),
        "PNG of 14,000 x 14,000": ("IMAGE_TOO_LARGE", lambda: with_extra(image, png_claiming(14_000, 14_000))),
        "PNG of 10,001 x 10,000": ("IMAGE_TOO_LARGE", lambda: with_extra(image, png_claiming(10_001, 10_000))),
        "PNG of 2^31 pixels a side": ("IMAGE_TOO_LARGE", lambda: with_extra(image, png_claiming(2**31 - 1, 2**31 - 1))),
        "PNG with a text bomb": ("IMAGE_CORRUPT", lambda: with_extra(image, png_with_text_bomb())),
        "WebP of 65,535 x 65,535": (
            "IMAGE_TOO_LARGE",
            lambda: with_extra("train/cat/x.webp", webp_claiming(65_535, 65_535)),
        ),
        "animated PNG": ("IMAGE_ANIMATED", lambda: with_extra(image, animated("PNG"))),
        "animated WebP": ("IMAGE_ANIMATED", lambda: with_extra("train/cat/x.webp", animated("WEBP"))),
        "GIF": ("UNSUPPORTED_FORMAT", lambda: with_extra("train/cat/x.gif", animated("GIF"))),
        "GIF named .png": ("UNSUPPORTED_FORMAT", lambda: with_extra(image, animated("GIF"))),
        "HTML named .jpg": (
            "NOT_AN_IMAGE",
            lambda: with_extra("train/cat/x.jpg", b"<!DOCTYPE html><script>alert(1)</script>"),
        ),
        "SVG": ("UNSUPPORTED_FORMAT", lambda: with_extra("train/cat/x.svg", b"<svg onload='alert(1)'/>")),
        "text named .png": ("NOT_AN_IMAGE", lambda: with_extra(image, b"hello")),
        "zero bytes": ("EMPTY_FILE", lambda: zip_of(*good_entries(), (image, b""))),
        "one class": ("TOO_FEW_CLASSES", lambda: zip_of(*((f"cat/{n}.png", encoded(shade=n)) for n in range(4)))),
        "empty class folder": ("EMPTY_CLASS", lambda: zip_of(*good_entries(), ("train/fox/", b""))),
        "class of stray files": (
            "EMPTY_CLASS",
            lambda: zip_of(*good_entries(), ("train/fox/", b""), ("train/fox/a.txt", b"?")),
        ),
        "no val": ("EMPTY_SPLIT", lambda: without("val/")),
        "no train": ("EMPTY_SPLIT", lambda: without("train/")),
        "class in val that train lacks": ("CLASS_MISMATCH", lambda: with_extra("val/fox/1.png")),
    }


def renamed(old: str, new: bytes) -> bytes:
    """An archive with one entry whose name is replaced in both headers by bytes of the same length."""
    raw = old.encode()
    new = new.ljust(len(raw), b"x") if len(new) < len(raw) else new
    assert len(raw) == len(new)
    return with_extra(old).replace(raw, new)


def flagged(archive: bytes, name: str, flag: int) -> bytes:
    """Sets a general-purpose flag of one entry, in both of its headers."""
    raw = bytearray(archive)
    local, central = _headers(archive, name)
    raw[local + 6] |= flag
    raw[central + 8] |= flag
    return bytes(raw)


def lying_size(archive: bytes, name: str) -> bytes:
    """Declares 100 bytes for an entry that inflates to far more."""
    raw = bytearray(archive)
    local, central = _headers(archive, name)
    struct.pack_into("<I", raw, local + 22, 100)
    struct.pack_into("<I", raw, central + 24, 100)
    return bytes(raw)


def claiming_size(archive: bytes) -> bytes:
    """Declares 2 GiB for the last entry; a ratio check is no help when the archive is 30 MB, so it is padded."""
    raw = bytearray(archive)
    _, central = _headers(archive, "train/cat/x.png")
    struct.pack_into("<I", raw, central + 24, 2 << 30)
    return zip_prefix(30 << 20) + bytes(raw)


def zip_prefix(size: int) -> bytes:
    """Bytes in front of an archive, as self-extracting ones have them; begins like a zip."""
    return b"PK\x03\x04" + bytes(size - 4)


def overlapping() -> bytes:
    """All directory entries point at the first file."""
    raw = bytearray(zip_of(*good_entries()))
    at = raw.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<I", raw, at + 42, 0)
        at = raw.find(b"PK\x01\x02", at + 4)
    return bytes(raw)


def many_entries() -> bytes:
    """A directory of 300,000 entries that all name one file; the size of a photograph."""
    one = zip_of(("a/b.png", b""))
    start = one.find(b"PK\x01\x02")
    end = one.find(b"PK\x05\x06")
    count = 300_000
    directory = one[start:end] * count
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), start, 0)
    return one[:start] + directory + tail


def bit_flip() -> bytes:
    raw = bytearray(zip_of(*good_entries(), compression=_STORED))
    raw[60] ^= 0x10
    return bytes(raw)


def _special(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    return info


def _headers(archive: bytes, name: str) -> tuple[int, int]:
    """Positions of the local and of the central header of an entry."""
    raw = name.encode()
    return archive.find(raw) - 30, archive.rfind(raw) - 46
