"""What is wrong with an upload, in a form a program can count and a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Severity = Literal["error", "warning"]

# The result file carries this many; the counts are always complete.
KEPT_FINDINGS = 1000
_SHOWN_NAME_CHARACTERS = 300


class Code(StrEnum):
    """Stable codes: clients translate and filter by them, so a code is never renamed."""

    # The archive as a whole.
    ARCHIVE_CORRUPT = "ARCHIVE_CORRUPT"
    ARCHIVE_BOMB = "ARCHIVE_BOMB"
    NOT_A_ZIP = "NOT_A_ZIP"
    TOO_LARGE = "TOO_LARGE"
    TOO_MANY_FILES = "TOO_MANY_FILES"
    # The name or kind of one entry.
    NAME_INVALID = "NAME_INVALID"
    NAME_NOT_UTF8 = "NAME_NOT_UTF8"
    NAME_TOO_LONG = "NAME_TOO_LONG"
    PATH_ESCAPE = "PATH_ESCAPE"
    PATH_TOO_DEEP = "PATH_TOO_DEEP"
    CASE_CLASH = "CASE_CLASH"
    DUPLICATE_FILE = "DUPLICATE_FILE"
    ENCRYPTED = "ENCRYPTED"
    NESTED_ARCHIVE = "NESTED_ARCHIVE"
    SPECIAL_FILE = "SPECIAL_FILE"
    STRAY_FILE = "STRAY_FILE"
    SYMLINK = "SYMLINK"
    UNSUPPORTED_COMPRESSION = "UNSUPPORTED_COMPRESSION"
    # The content of one file.
    EMPTY_FILE = "EMPTY_FILE"
    FILE_CORRUPT = "FILE_CORRUPT"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    HIGH_BIT_DEPTH = "HIGH_BIT_DEPTH"
    IMAGE_ANIMATED = "IMAGE_ANIMATED"
    IMAGE_CORRUPT = "IMAGE_CORRUPT"
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    IMAGE_TRUNCATED = "IMAGE_TRUNCATED"
    MULTI_PAGE = "MULTI_PAGE"
    NOT_AN_IMAGE = "NOT_AN_IMAGE"
    UNSUPPORTED_FORMAT = "UNSUPPORTED_FORMAT"
    # The dataset.
    CLASS_MISMATCH = "CLASS_MISMATCH"
    CLASS_TOO_SMALL = "CLASS_TOO_SMALL"
    DUPLICATE_IMAGE = "DUPLICATE_IMAGE"
    EMPTY_CLASS = "EMPTY_CLASS"
    EMPTY_SPLIT = "EMPTY_SPLIT"
    LABEL_CONFLICT = "LABEL_CONFLICT"
    MISPLACED_FILE = "MISPLACED_FILE"
    TOO_FEW_CLASSES = "TOO_FEW_CLASSES"
    UNSUPPORTED_LAYOUT = "UNSUPPORTED_LAYOUT"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `file` is the name inside the archive, made printable; None means the archive itself."""

    severity: Severity
    code: Code
    file: str | None
    reason: str

    def as_json(self) -> dict[str, str | None]:
        """The shape of `Finding` in shared-contracts."""
        return {"severity": self.severity, "code": self.code.value, "file": self.file, "reason": self.reason}


class Findings:
    """Collects findings: all are counted, the first `KEPT_FINDINGS` kept, errors before warnings."""

    def __init__(self, *, skip_bad_files: bool = False) -> None:
        self._skip_bad_files = skip_bad_files
        self._errors: list[Finding] = []
        self._warnings: list[Finding] = []
        self.error_count = 0
        self.warning_count = 0

    def error(self, code: Code, reason: str, file: str | None = None) -> None:
        """Notes what makes the whole upload unusable, whatever the options say."""
        self.error_count += 1
        self._keep(self._errors, "error", code, reason, file)

    def warning(self, code: Code, reason: str, file: str | None = None) -> None:
        """Notes what a person should know and training can live with."""
        self.warning_count += 1
        self._keep(self._warnings, "warning", code, reason, file)

    def bad_file(self, code: Code, reason: str, file: str) -> None:
        """Notes one unusable file: an error, or with `skip_bad_files` a warning. The caller leaves the file out."""
        if self._skip_bad_files:
            self.warning(code, f"{reason} The file was skipped.", file)
        else:
            self.error(code, reason, file)

    def as_list(self) -> list[Finding]:
        """The kept findings, errors first, at most `KEPT_FINDINGS`."""
        return (self._errors + self._warnings)[:KEPT_FINDINGS]

    def for_result(self) -> list[Mapping[str, str | None]]:
        """All findings for `ResultWriter.write`, which lists the first 1000 and counts the rest.

        Beyond those every entry is one shared mapping of its severity: 200,000 bad files cost two megabytes, not a
        hundred.
        """
        kept = self.as_list()
        listed: list[Mapping[str, str | None]] = [finding.as_json() for finding in kept]
        for severity, count in self.counts().items():
            shown = sum(finding.severity == severity for finding in kept)
            listed += [{"severity": severity}] * (count - shown)
        return listed

    def counts(self) -> dict[str, int]:
        """How many there are of each severity, kept or not."""
        return {"error": self.error_count, "warning": self.warning_count}

    def summary(self, shown: int = 3) -> str:
        """The errors in plain words: how many, and the first `shown` of them."""
        lines = [f"{finding.file}: {finding.reason}" if finding.file else finding.reason for finding in self._errors]
        rest = self.error_count - len(lines[:shown])
        more = f" … and {rest} more" if rest > 0 else ""
        noun = "problem" if self.error_count == 1 else "problems"
        return f"The upload has {self.error_count} {noun}. " + " ".join(lines[:shown]) + more

    @staticmethod
    def _keep(kept: list[Finding], severity: Severity, code: Code, reason: str, file: str | None) -> None:
        if len(kept) < KEPT_FINDINGS:
            kept.append(Finding(severity, code, None if file is None else printable(file), reason))


def printable(name: str) -> str:
    """A hostile name made fit for a terminal or a web page: control characters escaped, length bounded."""
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in name)
    return shown if len(shown) <= _SHOWN_NAME_CHARACTERS else shown[:_SHOWN_NAME_CHARACTERS] + "…"
