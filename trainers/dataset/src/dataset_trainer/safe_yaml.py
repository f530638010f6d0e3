"""YAML from an upload: plain values only, no aliases (bombs are made of them), bounded depth; nothing is executed."""

from __future__ import annotations

from typing import Any

import yaml

from .findings import Code
from .labels import BadAnnotation

_DEPTH = 8
_NODES = 50_000


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader without anchors, merge keys and deep nesting."""

    depth = 0
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise BadAnnotation(Code.ANNOTATION_BOMB, "The YAML uses aliases (*name); write the values out.")
        self.depth += 1
        self.nodes += 1
        if self.depth > _DEPTH or self.nodes > _NODES:
            raise BadAnnotation(Code.ANNOTATION_BOMB, "The YAML is nested too deeply or has too many values.")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def load_plain_yaml(text: str) -> dict[Any, Any]:
    """The mapping in `text`. Raises BadAnnotation."""
    try:
        # _PlainLoader is a SafeLoader: it builds numbers, texts, lists and mappings and nothing else.
        value = yaml.load(text, _PlainLoader)  # noqa: S506
    except RecursionError:
        raise BadAnnotation(Code.ANNOTATION_BOMB, "The YAML is nested too deeply.") from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark is not None else ""
        raise BadAnnotation(Code.ANNOTATION_CORRUPT, f"The YAML is damaged{place}.") from None
    if not isinstance(value, dict):
        raise BadAnnotation(Code.ANNOTATION_CORRUPT, "The YAML is no list of `name: value`.")
    return value
