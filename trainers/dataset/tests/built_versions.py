"""Builds a version from entries of a zip, and reads it back."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dataset_trainer.findings import Findings
from dataset_trainer.version_builder import BuildOptions, BuiltVersion, build_version
from hostile_archives import Entry, zip_of


@dataclass
class Version:
    """What was built. `samples` by the name that the image had in the upload."""

    built: BuiltVersion
    findings: Findings
    samples: dict[str, dict[str, Any]]

    def mask(self, source: str) -> NDArray[np.uint8]:
        sample = self.samples[source]
        shard = next(shard.path for shard in self.built.shards if shard.name == sample["shard"])
        with shard.open("rb") as file:
            file.seek(sample["mask"]["offset"])
            return np.asarray(Image.open(io.BytesIO(file.read(sample["mask"]["bytes"]))))

    @property
    def codes(self) -> set[str]:
        return {finding.code.value for finding in self.findings.as_list()}


def version_of(folder: Path, task: str, *entries: Entry, options: BuildOptions | None = None) -> Version:
    """Fails the test when no version comes of the entries."""
    return version_from(folder, task, zip_of(*entries), options)


def version_from(folder: Path, task: str, archive: bytes, options: BuildOptions | None = None) -> Version:
    work = folder / f"work-{sum(1 for _ in folder.iterdir())}"
    work.mkdir()
    path = work / "upload.zip"
    path.write_bytes(archive)
    findings = Findings()
    built = build_version(path, work, options or BuildOptions(task=task), findings, lambda done, total: None)
    assert built is not None, findings.as_list()
    with gzip.open(built.samples_path, "rt") as lines:
        samples = [json.loads(line) for line in lines]
    return Version(built, findings, {sample["source"]: sample for sample in samples})
