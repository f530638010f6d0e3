"""Looks at every image and its annotation, several at once, and hands the answers over in the order of the files."""

from __future__ import annotations

import zipfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from vision_trainer.cpu_limits import available_cpus

from .archive import read_member
from .findings import Code
from .image_check import BadImage, ImageFacts, check_image
from .labels import BadAnnotation, Labeller, Labels, Note, SourceFile
from .limits import MIB, Limits

# Decoders let other threads run; more of them only ask for more memory.
_MOST_THREADS = 4
_WAITING_BYTES = 64 * MIB


@dataclass(frozen=True, slots=True)
class Examined:
    """The verdict on one image: its file and what it shows, or else only the notes that say why not."""

    file: SourceFile
    data: bytes
    facts: ImageFacts | None
    labels: Labels


def examined_files(
    archive: zipfile.ZipFile, labeller: Labeller, files: Iterable[SourceFile], limits: Limits
) -> Iterator[Examined]:
    """Every file examined, in the given order. The zip is read by the caller's thread, the pictures by others.

    What waits is bounded in number and bytes, so memory does not grow with the dataset.
    """
    threads = min(_MOST_THREADS, available_cpus())
    waiting: deque[tuple[int, Future[Examined]]] = deque()
    size = 0
    with ThreadPoolExecutor(threads, "examine") as pool:
        try:
            for file in files:
                while waiting and (len(waiting) > 2 * threads or size + file.member.info.file_size > _WAITING_BYTES):
                    done, future = waiting.popleft()
                    size -= done
                    yield future.result()
                waiting.append(_submitted(pool, archive, labeller, file, limits))
                size += waiting[-1][0]
            while waiting:
                yield waiting.popleft()[1].result()
        finally:
            for _, future in waiting:
                future.cancel()


def _submitted(
    pool: ThreadPoolExecutor, archive: zipfile.ZipFile, labeller: Labeller, file: SourceFile, limits: Limits
) -> tuple[int, Future[Examined]]:
    """The bytes that wait for their turn, and the answer to come."""
    try:
        data = read_member(archive, file.member)
        collected = labeller.collect(file)
    except zipfile.BadZipFile:
        reason = "The file is damaged inside the zip (wrong checksum or length)."
        return _refused(file, Code.FILE_CORRUPT, reason)
    except BadAnnotation as bad:
        return _refused(file, bad.code, f"Its annotation cannot be used: {bad.reason}")
    waiting = len(data) + (len(collected) if isinstance(collected, bytes | str) else sum(map(len, collected or ())))
    return waiting, pool.submit(_examined, file, data, collected, labeller, limits)


def _examined(file: SourceFile, data: bytes, collected: Any, labeller: Labeller, limits: Limits) -> Examined:
    try:
        facts = check_image(data, limits)
    except BadImage as bad:
        return Examined(file, data, None, Labels(notes=[Note("bad", bad.code, bad.reason)]))
    return Examined(file, data, facts, labeller.label(file, collected, facts))


def _refused(file: SourceFile, code: Code, reason: str) -> tuple[int, Future[Examined]]:
    done: Future[Examined] = Future()
    done.set_result(Examined(file, b"", None, Labels(notes=[Note("bad", code, reason)])))
    return 0, done
