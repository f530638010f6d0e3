"""What is wrong with an upload, in a form a program can count and a person can act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Literal

Severity = Literal["error", "warning"]

# The result file carries this many; the counts are always complete.
KEPT_FINDINGS = 1000
# Of equal mistakes so many are shown; then one line says how many more there are.
EXAMPLES = 20
_SHOWN_NAME_CHARACTERS = 300
_REASON_CHARACTERS = 900


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
    FORMAT_AMBIGUOUS = "FORMAT_AMBIGUOUS"
    FORMAT_TASK_MISMATCH = "FORMAT_TASK_MISMATCH"
    NO_OBJECTS = "NO_OBJECTS"
    SPLIT_MISSING = "SPLIT_MISSING"
    TOO_FEW_CLASSES = "TOO_FEW_CLASSES"
    TOO_MANY_CLASSES = "TOO_MANY_CLASSES"
    UNSUPPORTED_LAYOUT = "UNSUPPORTED_LAYOUT"
    # Annotation files: JSON, YAML, XML, CSV, text.
    ANNOTATION_BOMB = "ANNOTATION_BOMB"
    ANNOTATION_CORRUPT = "ANNOTATION_CORRUPT"
    ANNOTATION_TOO_LARGE = "ANNOTATION_TOO_LARGE"
    CATEGORIES_DIFFER = "CATEGORIES_DIFFER"
    CLASS_NAME_INVALID = "CLASS_NAME_INVALID"
    CLASS_NAMES_GENERATED = "CLASS_NAMES_GENERATED"
    DOWNLOAD_IGNORED = "DOWNLOAD_IGNORED"
    DUPLICATE_ID = "DUPLICATE_ID"
    UNUSED_SUPERCATEGORY = "UNUSED_SUPERCATEGORY"
    # What belongs together: image and annotation.
    ANNOTATION_WITHOUT_IMAGE = "ANNOTATION_WITHOUT_IMAGE"
    BACKGROUND_IMAGE = "BACKGROUND_IMAGE"
    DUPLICATE_STEM = "DUPLICATE_STEM"
    IMAGE_AMBIGUOUS = "IMAGE_AMBIGUOUS"
    IMAGE_MISSING = "IMAGE_MISSING"
    IMAGE_NOT_ANNOTATED = "IMAGE_NOT_ANNOTATED"
    IMAGE_SIZE_MISMATCH = "IMAGE_SIZE_MISMATCH"
    TURNED_WITH_EXIF = "TURNED_WITH_EXIF"
    # Objects.
    BOX_CLIPPED = "BOX_CLIPPED"
    BOX_EMPTY = "BOX_EMPTY"
    BOX_INVALID = "BOX_INVALID"
    BOX_OUTSIDE = "BOX_OUTSIDE"
    CATEGORY_UNKNOWN = "CATEGORY_UNKNOWN"
    COORDINATES_NOT_NORMALISED = "COORDINATES_NOT_NORMALISED"
    KEYPOINTS_DIFFER = "KEYPOINTS_DIFFER"
    KEYPOINTS_MISSING = "KEYPOINTS_MISSING"
    KEYPOINT_COUNT_MISMATCH = "KEYPOINT_COUNT_MISMATCH"
    KEYPOINT_OUTSIDE = "KEYPOINT_OUTSIDE"
    NOT_A_NUMBER = "NOT_A_NUMBER"
    OUTLINE_MISSING = "OUTLINE_MISSING"
    POLYGON_TOO_SHORT = "POLYGON_TOO_SHORT"
    RLE_INVALID = "RLE_INVALID"
    RLE_SIZE_MISMATCH = "RLE_SIZE_MISMATCH"
    ROW_INVALID = "ROW_INVALID"
    TOO_MANY_OBJECTS = "TOO_MANY_OBJECTS"
    # Masks.
    MASK_COLOUR_UNKNOWN = "MASK_COLOUR_UNKNOWN"
    MASK_CORRUPT = "MASK_CORRUPT"
    MASK_EMPTY = "MASK_EMPTY"
    MASK_SIZE_MISMATCH = "MASK_SIZE_MISMATCH"
    MASK_VALUE_UNKNOWN = "MASK_VALUE_UNKNOWN"
    # Captions.
    CAPTION_TOO_LONG = "CAPTION_TOO_LONG"
    EMPTY_CAPTION = "EMPTY_CAPTION"
    TOO_MANY_CAPTIONS = "TOO_MANY_CAPTIONS"


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
    """Collects findings: all are counted; of each code the first `EXAMPLES` are kept, errors before warnings."""

    def __init__(self, *, skip_bad_files: bool = False) -> None:
        self._skip_bad_files = skip_bad_files
        self._examples: dict[tuple[Severity, Code], list[Finding]] = {}
        self._counts: Counter[tuple[Severity, Code]] = Counter()

    @property
    def error_count(self) -> int:
        """How many errors were noted, kept or not."""
        return self.counts()["error"]

    def error(self, code: Code, reason: str, file: str | None = None) -> None:
        """Notes what makes the whole upload unusable, whatever the options say."""
        self._note("error", code, reason, file)

    def warning(self, code: Code, reason: str, file: str | None = None) -> None:
        """Notes what a person should know and training can live with."""
        self._note("warning", code, reason, file)

    def bad_file(self, code: Code, reason: str, file: str) -> None:
        """Notes one unusable file: an error, or with `skip_bad_files` a warning. The caller leaves the file out."""
        if self._skip_bad_files:
            self.warning(code, f"{reason} The file was skipped.", file)
        else:
            self.error(code, reason, file)

    def as_list(self) -> list[Finding]:
        """Examples of every code in the order of their first appearance, each code with a line about the rest.

        Errors come first; at most `KEPT_FINDINGS`.
        """
        listed: list[Finding] = []
        for severity in ("error", "warning"):
            for (found, code), examples in self._examples.items():
                if found == severity:
                    listed += examples
                    more = self._counts[found, code] - len(examples)
                    if more:
                        listed.append(Finding(found, code, None, f"{more} more like these, {more + EXAMPLES} in all."))
        return listed[:KEPT_FINDINGS]

    def for_result(self) -> list[Mapping[str, str | None]]:
        """The list for RESULT.json; `counts` goes beside it, because the list is shortened."""
        return [finding.as_json() for finding in self.as_list()]

    def counts(self) -> dict[str, int]:
        """How many there are of each severity, kept or not."""
        return {
            severity: sum(count for (found, _), count in self._counts.items() if found == severity)
            for severity in ("error", "warning")
        }

    def summary(self, shown: int = 3) -> str:
        """The errors in plain words: how many, and `shown` of them, different ones first."""
        errors = [examples for (severity, _), examples in self._examples.items() if severity == "error"]
        mixed = [finding for row in zip_longest(*errors) for finding in row if finding is not None][:shown]
        lines = [f"{finding.file}: {finding.reason}" if finding.file else finding.reason for finding in mixed]
        rest = self.error_count - len(lines)
        more = f" … and {rest} more" if rest > 0 else ""
        noun = "problem" if self.error_count == 1 else "problems"
        return f"The upload has {self.error_count} {noun}. " + " ".join(lines) + more

    def _note(self, severity: Severity, code: Code, reason: str, file: str | None) -> None:
        self._counts[severity, code] += 1
        kept = self._examples.setdefault((severity, code), [])
        if len(kept) < EXAMPLES:
            kept.append(Finding(severity, code, None if file is None else printable(file), _shortened(reason)))


def _shortened(reason: str) -> str:
    return reason if len(reason) <= _REASON_CHARACTERS else reason[: _REASON_CHARACTERS - 1] + "…"


def printable(name: str) -> str:
    """A hostile name made fit for a terminal or a web page: control characters escaped, length bounded."""
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in name)
    return shown if len(shown) <= _SHOWN_NAME_CHARACTERS else shown[:_SHOWN_NAME_CHARACTERS] + "…"
