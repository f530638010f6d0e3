"""Artifacts, and RESULT.json: the job's own summary, written after everything it names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .contracts import TrainerResult
from .environment import TrainerEnvironment
from .storage import Storage, join_uri, media_type_of

MAX_FINDINGS = 1000


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file the job leaves behind, as RESULT.json and the terminal event name it."""

    name: str
    uri: str
    sha256: str
    bytes: int
    media_type: str


class ResultWriter:
    """Uploads under OUTPUT_URI and remembers the artifacts."""

    def __init__(self, storage: Storage, env: TrainerEnvironment) -> None:
        self._storage = storage
        self._env = env
        self.artifacts: list[Artifact] = []

    def add_artifact(
        self, path: Path, name: str, *, folder: str = "artifacts", media_type: str | None = None
    ) -> Artifact:
        """Uploads a file as `<OUTPUT_URI>/<folder>/<name>` and lists it in the result. Raises STORAGE_FAILURE."""
        uri = join_uri(self._env.output_uri, folder, name) if folder else join_uri(self._env.output_uri, name)
        stored = self._storage.upload_file(path, uri, media_type=media_type or media_type_of(name))
        artifact = Artifact(name, stored.uri, stored.sha256, stored.bytes, stored.media_type)
        self.artifacts.append(artifact)
        return artifact

    def put_json(self, name: str, content: Any) -> None:
        """Uploads `content` as the JSON file `<OUTPUT_URI>/<name>`; it is no artifact."""
        body = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode()
        self._storage.upload_bytes(body, join_uri(self._env.output_uri, name))

    def write(
        self,
        status: str,
        metrics: Mapping[str, float | None],
        *,
        findings: Sequence[Mapping[str, Any]] | None = None,
        finding_counts: Mapping[str, int] | None = None,
        dataset: Mapping[str, Any] | None = None,
    ) -> None:
        """Uploads RESULT.json; `status` is succeeded or failed. Call it last.

        Of the findings the first 1000 are listed and all are counted; `finding_counts` (error, warning) replaces the
        counting where one finding stands for many. Raises ValueError when the result does not
        conform to the contract, STORAGE_FAILURE when it cannot be uploaded.
        """
        result: dict[str, Any] = {
            "v": 1,
            "job_id": self._env.job_id,
            "attempt": self._env.attempt,
            "kind": self._env.job_kind,
            "status": status,
            "metrics": dict(metrics),
            "artifacts": [asdict(artifact) for artifact in self.artifacts],
        }
        if findings is not None:
            result["findings"] = [dict(finding) for finding in findings[:MAX_FINDINGS]]
            result["finding_counts"] = dict(finding_counts or {}) or {
                severity: sum(finding["severity"] == severity for finding in findings)
                for severity in ("error", "warning")
            }
        if dataset is not None:
            result["dataset"] = dict(dataset)
        TrainerResult.model_validate(result)
        self.put_json("RESULT.json", result)
