"""The repository's own checkpoint files: found by globs, copied once they are whole, put back where they were.

A checkpoint folder of the platform holds flat names, so files are numbered and `files.json` says where each belongs.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vision_trainer.resume import CheckpointTorn

from . import patterns
from .foreign_files import copy_foreign
from .log_files import is_plain, matching
from .manifest_results import Checkpoints
from .templates import Variables, fill

INDEX_NAME = "files.json"
_MOST_FILES = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it was seen."""

    path: Path
    size: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Restored:
    """Files back in the output folder. `best` is what an evaluation takes; both may be the same."""

    last: Path
    best: Path
    state: dict[str, Any]


class CheckpointFiles:
    """Watches the output folder. What lies there at the beginning was put back by us and is not new."""

    def __init__(self, spec: Checkpoints, variables: Variables) -> None:
        self._spec = spec
        self._output = Path(str(variables["output"]))
        self._last = [fill(text, variables) for text in spec.last]
        self._best = [fill(text, variables) for text in spec.best]
        self._extra = [fill(text, variables) for text in spec.extra]
        self._taken = self._newest(self._last)
        self._taken_best = self._newest(self._best)
        self._candidate: Found | None = None
        self._since = 0.0

    def whole(self, *, now: bool = False) -> Found | None:
        """The newest checkpoint that was not taken yet, once it has not changed for `stable_s`.

        `now`: the program has ended, so nothing changes any more.
        """
        found = self._newest(self._last)
        if found is None or found == self._taken:
            return None
        if found != self._candidate:
            self._candidate, self._since = found, time.monotonic()
        return found if now or time.monotonic() - self._since >= self._spec.stable_s else None

    def newest(self) -> Found | None:
        """The newest checkpoint, taken before or not."""
        return self._newest(self._last)

    def epoch_of(self, found: Found) -> int | None:
        """The epoch that a file's name tells, counted from 1."""
        if self._spec.epoch is None:
            return None
        match = patterns.compiled(self._spec.epoch).search(found.path.name)
        epoch = match.groupdict().get("epoch") if match else None
        return int(epoch) + 1 - self._spec.epoch_base if epoch and epoch.isdigit() else None

    def best_changed(self, *, for_s: float = 0.0) -> bool:
        """Whether the repository has written another best file than the one taken last, at least `for_s` seconds
        ago."""
        found = self._newest(self._best)
        return found is not None and found != self._taken_best and time.time() - found.changed_ns / 1e9 >= for_s

    def weights(self) -> Path | None:
        """The file that holds the best weights: the repository's own best file, or the newest checkpoint."""
        found = self._newest(self._best) or self._newest(self._last)
        return found.path if found else None

    def forget(self) -> None:
        """What was taken counts as new again."""
        self._taken = self._taken_best = None

    def copy(self, found: Found, into: Path, state: dict[str, Any]) -> bool:
        """Copies the checkpoint with what belongs to it, the repository's best file too: it may never be written again.

        False when it changed meanwhile: nothing is left in `into` then.
        """
        best_file = self._newest(self._best)
        paths = {found.path: "last"}
        if best_file is not None and best_file.path != found.path:
            paths[best_file.path] = "best"
        for main in list(paths):
            paths |= {path: "beside" for path in self._beside(main) if path not in paths}
        for pattern in self._extra:
            paths |= {Path(name): "extra" for name in matching(pattern) if Path(name) not in paths}
        entries = []
        try:
            for number, (path, role) in enumerate(list(paths.items())[:_MOST_FILES]):
                name = f"{number:03d}{path.suffix}"
                try:
                    copy_foreign(path, self._output, into / name)
                except OSError:
                    if role == "last":
                        raise
                    continue
                entries.append({"name": name, "path": path.relative_to(self._output).as_posix(), "role": role})
        except OSError:
            entries = []
        if not entries or entries[0]["role"] != "last" or _seen(found.path) != found:
            for path in into.iterdir():
                path.unlink()
            return False
        (into / INDEX_NAME).write_text(json.dumps({"files": entries, "state": state}, indent=1))
        self._taken = found
        if best_file is not None:
            self._taken_best = best_file
        return True

    def _beside(self, main: Path) -> list[Path]:
        return [path for suffix in self._spec.beside if (path := main.with_suffix(suffix)).is_file()]

    def _newest(self, globs: list[str]) -> Found | None:
        found = [seen for text in globs for name in matching(text) if is_plain(name) and (seen := _seen(Path(name)))]
        return max(found, key=lambda item: (item.changed_ns, item.path.name), default=None)


def put_back(folder: Path, output: Path) -> Restored:
    """Copies a checkpoint's files to where they were below `output`. Raises CheckpointTorn for an index that is none of
    ours."""
    entries, state = read_index(folder)
    placed: dict[str, Path] = {}
    now = time.time()
    for entry in entries:
        target = output / entry["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / entry["name"], target)
        placed.setdefault(entry["role"], target)
    # "The newest file" must be the one to go on from, whatever order they were copied in.
    os.utime(placed["last"], (now + 1, now + 1))
    return Restored(placed["last"], placed.get("best", placed["last"]), state)


def read_index(folder: Path) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """(files, state) of a checkpoint folder. Raises CheckpointTorn."""
    try:
        index = json.loads((folder / INDEX_NAME).read_text())
        entries, state = index["files"], index["state"]
        for entry in entries:
            path = PurePosixPath(entry["path"])
            if (
                path.is_absolute()
                or ".." in path.parts
                or "/" in entry["name"]
                or not (folder / entry["name"]).is_file()
            ):
                raise CheckpointTorn(f"it names a file {entry['path']!r} that does not belong to it")
        if not any(entry["role"] == "last" for entry in entries) or not isinstance(state["epoch"], int):
            raise CheckpointTorn("it names no checkpoint")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointTorn(f"{INDEX_NAME} cannot be read") from error
    return entries, state


def _seen(path: Path) -> Found | None:
    try:
        status = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return Found(path, status.st_size, status.st_mtime_ns)
