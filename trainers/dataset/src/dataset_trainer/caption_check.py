"""Captions as trainers take them: one line each, not empty, not endless."""

from __future__ import annotations

from typing import Any

from .class_names import clean_text
from .findings import Code
from .labels import Labels
from .limits import Limits


def checked_captions(given: list[Any], limits: Limits, labels: Labels) -> None:
    """Fills `fields["captions"]`. Notes empty ones, and what to do about an image without any."""
    captions = []
    for value in given:
        text = clean_text(value)
        if not text:
            labels.warning(Code.EMPTY_CAPTION, "A caption is empty and was left out.")
        elif len(text) > limits.caption_characters:
            reason = f"A caption has {len(text)} characters; the limit is {limits.caption_characters}."
            labels.bad(Code.CAPTION_TOO_LONG, reason)
        elif text not in captions:
            captions.append(text)
    if len(captions) > limits.captions:
        labels.warning(Code.TOO_MANY_CAPTIONS, f"{len(captions)} captions; the first {limits.captions} are kept.")
    if not captions and labels.usable:
        labels.bad(Code.EMPTY_CAPTION, "The image has no caption.")
    labels.fields["captions"] = captions[: limits.captions]
