"""All the places where a manifest says progress can be read, asked again and again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .log_files import LogFiles, is_plain, matching
from .manifest_progress import Metric, Progress
from .progress_lines import LineReader, Update, to_update
from .templates import Variables, fill
from .tensorboard_events import EventFile, Scalar

_MOST_FILES = 64


class _LinesOfFiles:
    """A file source: each file has its own reader, because each has its own header."""

    def __init__(self, source: Progress, pattern: str) -> None:
        self._source = source
        self._readers: dict[Path, LineReader] = {}
        self._files = LogFiles(pattern, header=self._read_header)

    def poll(self, *, last: bool) -> Iterator[Update]:
        for path, line in self._files.poll(last=last):
            update = self._reader(path).read(line)
            if update is not None:
                yield update

    def _read_header(self, path: Path, line: str) -> None:
        """The first line of a file that is there already names its columns."""
        self._reader(path).read(line)

    def _reader(self, path: Path) -> LineReader:
        return self._readers.setdefault(path, LineReader(self._source))


class _TensorBoard:
    """Event files below a path. A metric's key is the tag; the position is the event's step."""

    def __init__(self, source: Progress, pattern: str) -> None:
        self._source = source
        self._metrics = source.contract_metrics()
        self._pattern = f"{pattern.rstrip('/')}/**/*tfevents*"
        self._files = {path: EventFile(path, skip=True) for path in self._paths()}

    def poll(self, *, last: bool) -> Iterator[Update]:
        for path in self._paths():
            file = self._files.setdefault(path, EventFile(path))
            try:
                points = [point for point in file.poll() if point.tag in self._metrics]
            except OSError:
                continue
            yield from self._updates(points)

    def _updates(self, points: list[Scalar]) -> Iterator[Update]:
        position = self._source.epoch if self._source.kind == "epoch" else self._source.step
        rows: dict[int, dict[str, float]] = {}
        for point in points:
            rows.setdefault(point.step, {})[point.tag] = point.value
        for step, row in rows.items():
            update = to_update(self._source, self._metrics, {position: step, **row})
            if update is not None:
                yield update

    def _paths(self) -> list[Path]:
        return [Path(name) for name in matching(self._pattern)[:_MOST_FILES] if is_plain(name)]


class ProgressSources:
    """Reads the output line by line and the files when asked. Made before the program starts, so that it misses
    nothing."""

    def __init__(self, sources: list[Progress], variables: Variables) -> None:
        self._streams: dict[str, list[LineReader]] = {"stdout": [], "stderr": []}
        self._files: list[_LinesOfFiles | _TensorBoard] = []
        for source in sources:
            if source.source == "file":
                kind = _TensorBoard if source.format == "tensorboard" else _LinesOfFiles
                self._files.append(kind(source, fill(source.path or "", variables)))
            else:
                for name in ("stdout", "stderr") if source.source == "output" else (source.source,):
                    self._streams[name].append(LineReader(source))

    def read_line(self, stream: str, line: str) -> Iterator[Update]:
        """What a line of stdout or stderr says."""
        for reader in self._streams[stream]:
            update = reader.read(line)
            if update is not None:
                yield update

    def read_files(self, *, last: bool = False) -> Iterator[Update]:
        """What the files say since the last look; `last`: the program has ended."""
        for source in self._files:
            yield from source.poll(last=last)


def known_metrics(sources: list[Progress]) -> set[str]:
    """The contract names that the sources can deliver."""
    metrics: list[Metric] = [metric for source in sources for metric in source.contract_metrics().values()]
    return {metric.name for metric in metrics}
