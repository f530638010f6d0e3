"""Opens a hostile zip: everything that can be refused is refused from its directory, before a byte is inflated."""

from __future__ import annotations

import errno
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader, FileIO
from pathlib import Path

from .entry_names import HOSTILE_CODES, BadName, entry_name, fold, is_junk, split_name
from .findings import Code, Findings
from .limits import Limits

_ENCRYPTED_FLAG = 0x1
_LOCAL_HEADER_BYTES = 30
_ENTRY_SIGNATURE = b"PK\x01\x02"
_READ_ERRORS = (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, EOFError, OverflowError, zlib.error)
_OTHER_ARCHIVES = {b"Rar!": "RAR", b"7z\xbc\xaf": "7-Zip", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zX": "xz"}


class ArchiveRefused(Exception):  # noqa: N818 - the finding is already noted; this only ends the work
    """The archive cannot be used at all."""


@dataclass(frozen=True, slots=True)
class Member:
    """One regular file of the archive. `parts` are checked components of its name; they never reach the file system."""

    parts: tuple[str, ...]
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        """The name for people."""
        return "/".join(self.parts)


@dataclass(slots=True)
class Listing:
    """What the directory of the archive holds. `ignored` counts what operating systems leave behind."""

    files: list[Member] = field(default_factory=list)
    folders: list[tuple[str, ...]] = field(default_factory=list)
    ignored: int = 0


class _GuardedFile(BufferedReader):
    """Lets zipfile read the central directory only if it is small enough.

    zipfile fetches the directory in one read and then makes an object for each entry, so an upload that declares ten
    million entries would cost gigabytes before any check of ours. The signature count is never below the entry count.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(FileIO(path))
        self._limits = limits
        self.listing = True

    def read(self, size: int | None = -1, /) -> bytes:
        if self.listing and size is not None and size > self._limits.directory_bytes:
            raise TooManyEntries
        data = super().read(size)
        if self.listing and data.count(_ENTRY_SIGNATURE) > self._limits.entries:
            raise TooManyEntries
        return data


class TooManyEntries(Exception):  # noqa: N818 - see _GuardedFile
    """The central directory is beyond the limits."""


@contextmanager
def open_archive(path: Path, limits: Limits, findings: Findings) -> Iterator[zipfile.ZipFile]:
    """Opens the zip at `path`. Notes a finding and raises ArchiveRefused when it is no zip within the limits."""
    _check_magic(path, findings)
    guarded = _GuardedFile(path, limits)
    with guarded:
        archive = _open_guarded(guarded, limits, findings)
        guarded.listing = False
        with archive:
            _check_sizes(archive, path.stat().st_size, limits, findings)
            _check_overlap(archive, findings)
            yield archive


def list_members(archive: zipfile.ZipFile, limits: Limits, findings: Findings) -> Listing:
    """Sorts the entries into files, folders and junk; notes a finding for each entry that is refused.

    Raises ArchiveRefused when a name tries to leave the archive: nobody's folder of photographs does that.
    """
    listing = Listing()
    seen: dict[str, str] = {}
    hostile = False
    for info in archive.infolist():
        try:
            name = entry_name(info)
            parts = split_name(name, limits)
        except BadName as bad:
            hostile = hostile or bad.code in HOSTILE_CODES
            note = findings.error if bad.code in HOSTILE_CODES else findings.bad_file
            note(bad.code, bad.reason, info.orig_filename)
            continue
        if is_junk(parts):
            listing.ignored += 1
        elif name.endswith("/"):
            listing.folders.append(parts)
        elif _is_readable_file(info, "/".join(parts), limits, findings) and _is_new(parts, seen, findings):
            listing.files.append(Member(parts, info))
    if hostile:
        raise ArchiveRefused
    return listing


def read_member(archive: zipfile.ZipFile, member: Member) -> bytes:
    """The content of one file, at most the size its entry declares, with its CRC checked.

    Raises zipfile.BadZipFile for any damage. The declared size was checked against the limits before.
    """
    try:
        with archive.open(member.info) as stream:
            data = stream.read()
    except _READ_ERRORS as error:
        raise zipfile.BadZipFile(str(error)) from error
    if len(data) != member.info.file_size:
        raise zipfile.BadZipFile("the content is shorter than declared")
    return data


def _check_magic(path: Path, findings: Findings) -> None:
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return
    found = next((f", but a {name} file" for magic, name in _OTHER_ARCHIVES.items() if head.startswith(magic)), "")
    findings.error(Code.NOT_A_ZIP, f"The upload is not a zip archive{found}. Pack the image folder as .zip.")
    raise ArchiveRefused


def _open_guarded(file: _GuardedFile, limits: Limits, findings: Findings) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except TooManyEntries:
        findings.error(Code.TOO_MANY_FILES, f"The archive lists more than {limits.entries} files.")
    except UnicodeDecodeError as error:
        shown = bytes(error.object).decode("utf-8", "backslashreplace")
        findings.error(Code.NAME_NOT_UTF8, "A name is marked as UTF-8 but is not.", shown)
    except _READ_ERRORS:
        findings.error(Code.ARCHIVE_CORRUPT, "The zip archive is damaged or incomplete; upload it again.")
    except OSError as error:
        # A seek before the start of the file: offsets in the archive point nowhere. Other errors are the disk's.
        if error.errno != errno.EINVAL:
            raise
        findings.error(Code.ARCHIVE_CORRUPT, "The zip archive is damaged: its offsets point outside of it.")
    raise ArchiveRefused


def _check_sizes(archive: zipfile.ZipFile, archive_bytes: int, limits: Limits, findings: Findings) -> None:
    entries = archive.infolist()
    total = sum(info.file_size for info in entries)
    if len(entries) > limits.entries:
        findings.error(Code.TOO_MANY_FILES, f"The archive lists more than {limits.entries} files.")
        raise ArchiveRefused
    if total > limits.uncompressed_bytes:
        reason = f"The files are {total} bytes unpacked, the limit is {limits.uncompressed_bytes}."
        findings.error(Code.TOO_LARGE, reason)
        raise ArchiveRefused
    if total > limits.ratio_floor_bytes and total > archive_bytes * limits.compression_ratio:
        findings.error(
            Code.ARCHIVE_BOMB,
            f"The archive would grow {total // archive_bytes} times when unpacked; images never do.",
        )
        raise ArchiveRefused


def _check_overlap(archive: zipfile.ZipFile, findings: Findings) -> None:
    """Two entries that share bytes are how a small file claims petabytes (and no tool writes them)."""
    end_of_previous = 0
    for info in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        end = info.header_offset + _LOCAL_HEADER_BYTES + len(info.orig_filename) + info.compress_size
        if info.header_offset < end_of_previous or end > archive.start_dir:
            findings.error(Code.ARCHIVE_BOMB, "Entries of the archive overlap each other.", info.orig_filename)
            raise ArchiveRefused
        end_of_previous = end


def _is_readable_file(info: zipfile.ZipInfo, name: str, limits: Limits, findings: Findings) -> bool:
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if stat.S_ISLNK(mode):
        findings.bad_file(Code.SYMLINK, "The entry is a symbolic link; put the file itself into the zip.", name)
    elif kind not in (0, stat.S_IFREG):
        findings.bad_file(Code.SPECIAL_FILE, "The entry is a device, pipe or other special file.", name)
    elif info.flag_bits & _ENCRYPTED_FLAG:
        findings.bad_file(Code.ENCRYPTED, "The file is encrypted; make the zip without a password.", name)
    elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        findings.bad_file(Code.UNSUPPORTED_COMPRESSION, "The file is compressed by another method than deflate.", name)
    elif info.file_size > (limit := _size_limit(name, limits)):
        findings.bad_file(Code.FILE_TOO_LARGE, f"The file is {info.file_size} bytes; the limit is {limit}.", name)
    else:
        return True
    return False


def _size_limit(name: str, limits: Limits) -> int:
    """Annotation files that are read piece by piece may be larger than an image, which lies in memory as a whole."""
    return limits.annotation_bytes if name.lower().endswith((".json", ".jsonl", ".csv")) else limits.file_bytes


def _is_new(parts: tuple[str, ...], seen: dict[str, str], findings: Findings) -> bool:
    name = "/".join(parts)
    earlier = seen.setdefault(fold(name), name)
    if earlier is name:
        return True
    if earlier == name:
        findings.bad_file(Code.DUPLICATE_FILE, "The archive holds this name twice.", name)
        return False
    findings.warning(Code.CASE_CLASH, "Another file differs only in upper and lower case; both are kept.", name)
    return True
