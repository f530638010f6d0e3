"""Where the checkpoint to work with lies, for templates."""

from __future__ import annotations

from pathlib import Path

from .repository_job import Repository


def place_checkpoint(repository: Repository, path: Path) -> None:
    """Tells the templates: `${checkpoint}`, `${checkpoint_stem}` (some tools want no suffix), `${checkpoint_dir}`."""
    repository.variables |= {
        "checkpoint": path,
        "checkpoint_stem": path.with_suffix(""),
        "checkpoint_dir": path.parent,
    }
