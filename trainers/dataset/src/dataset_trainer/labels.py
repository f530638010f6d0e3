"""What a format's reader says about one image, before it becomes a sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from .archive import Member
from .findings import Code
from .image_check import ImageFacts


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell about one image: `bad` makes the image unusable, a `warning` does not."""

    severity: Literal["bad", "warning"]
    code: Code
    reason: str


@dataclass(slots=True)
class Labels:
    """The annotation of one image in the words of `DatasetSample`.

    `fields` are label, objects or captions; `categories` what counts for the class counts (each object, or each class
    shown); `mask` the canonical PNG, with `mask_pixels[value]` counting its 256 values.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    categories: list[int] = field(default_factory=list)
    mask: bytes | None = None
    mask_pixels: list[int] | None = None
    notes: list[Note] = field(default_factory=list)

    def bad(self, code: Code, reason: str) -> None:
        """Notes what makes the image unusable."""
        self.notes.append(Note("bad", code, reason))

    def warning(self, code: Code, reason: str) -> None:
        """Notes what a person should know."""
        self.notes.append(Note("warning", code, reason))

    @property
    def usable(self) -> bool:
        """Whether nothing bad was noted."""
        return all(note.severity != "bad" for note in self.notes)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One image and where it belongs.

    `split` is None while the upload leaves the split to us. `stratum` is what the split keeps in proportion: the class
    name of an image folder, else nothing. `key` is how the format's labeller finds the annotation.
    """

    member: Member
    split: str | None
    stratum: str = ""
    key: Any = None


class Labeller(Protocol):
    """The part of a format that tells about single images, once the layout is known."""

    def collect(self, file: SourceFile) -> Any:
        """What `label` needs, read from the archive or the disk; called by one thread. Raises BadAnnotation."""

    def label(self, file: SourceFile, collected: Any, facts: ImageFacts) -> Labels:
        """The annotation checked against the decoded image; called by any thread. Must not raise for bad input."""

    def classes(self) -> list[str]:
        """Class names in index order; final after the last image."""


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset found in an archive. `keypoints` is that of `DatasetManifest`, for pose estimation."""

    format: str
    layout: str
    files: list[SourceFile]
    has_splits: bool
    labeller: Labeller
    keypoints: dict[str, Any] | None = None


class BadAnnotation(Exception):  # noqa: N818 - carries a finding to the caller
    """Why an annotation file cannot be used."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
