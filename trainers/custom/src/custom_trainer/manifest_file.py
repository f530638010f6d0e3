"""Reads a manifest: bounded, without YAML's traps, every problem named at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError
from vision_trainer.failures import FailureCode, TrainerFailure

from .manifest import Manifest
from .manifest_commands import Command, When
from .templates import unknown_names

READY_MANIFESTS = Path(__file__).parents[2] / "manifests"
DEFAULT_NAME = "vision-trainer.yaml"
_LIMIT_BYTES = 256 * 1024
_PROBLEMS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """A manifest, and the folder it lies in: templates, locks and shims are named relative to it."""

    manifest: Manifest
    folder: Path


def ready_manifests() -> list[str]:
    """Names of the models that have a manifest beside this trainer."""
    return sorted(path.parent.name for path in READY_MANIFESTS.glob("*/manifest.yaml"))


def load_ready(model_name: str) -> LoadedManifest:
    """The manifest of a ready model. Raises BAD_CONFIG for a name there is none of."""
    if model_name not in ready_manifests():
        known = ", ".join(["repository", *ready_manifests()])
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"MODEL_NAME: found {model_name!r}, expected one of {known}.")
    return load_manifest(READY_MANIFESTS / model_name / "manifest.yaml")


def load_inner(source: Path, name: str) -> LoadedManifest:
    """The manifest inside of a checkout. Raises BAD_CONFIG when it is missing, or a link that leads out."""
    path = (source / name).resolve()
    if not path.is_relative_to(source.resolve()) or not path.is_file():
        raise _bad(f"the repository holds no manifest {name}; add one, or name it as `manifest` in the job's config")
    loaded = load_manifest(path)
    if loaded.manifest.source.folder is not None:
        raise _bad("source.folder is only for manifests that come with the platform")
    return loaded


def load_manifest(path: Path) -> LoadedManifest:
    """Reads and checks a file. Raises BAD_CONFIG that names the first problems by their place."""
    if path.stat().st_size > _LIMIT_BYTES:
        raise _bad(f"{path.name} is larger than {_LIMIT_BYTES // 1024} KiB")
    try:
        text = path.read_text(encoding="utf-8")
        # An alias may stand for itself a million times over.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise _bad(f"{path.name} uses YAML aliases (*name); write the values out")
        manifest = Manifest.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise _bad(f"{path.name}: {_problems(error)}") from error
    wrong = sorted(
        {
            f"{place}: ${{{name}}}"
            for place, text in templates(manifest)
            for name in unknown_names(text, [*manifest.parameters])
        }
    )
    if wrong:
        raise _bad(f"{path.name} uses names that do not exist: {', '.join(wrong[:_PROBLEMS_SHOWN])}")
    for name in _files_beside(manifest):
        if (
            not (path.parent / name).resolve().is_relative_to(path.parent.resolve())
            or not (path.parent / name).exists()
        ):
            raise _bad(f"{path.name} names {name}, which is not beside it")
    return LoadedManifest(manifest, path.parent)


def templates(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """(place, text) of every template of the manifest."""
    for name in ("prepare", "train", "resume", "evaluate", "predict", "export"):
        command = manifest.commands.named(name)
        if command is not None:
            yield from ((f"commands.{name}", text) for text in _of_command(command))
    yield from (("env", text) for text in manifest.env.values())
    yield from ((f"files.{file.template}", file.to) for file in manifest.files)
    yield from (("progress", source.path) for source in manifest.progress if source.path)
    saved = manifest.checkpoints
    yield from (("checkpoints", text) for text in (*saved.last, *saved.best, *saved.extra))
    yield from (("dataset.links", text) for pair in manifest.dataset.links.items() for text in pair)
    if manifest.complete.file:
        yield "complete.file", manifest.complete.file
    if manifest.environment:
        yield from (("environment.install", word) for argv in manifest.environment.install for word in argv)


def _of_command(command: Command) -> Iterator[str]:
    for item in command.argv:
        if isinstance(item, When):
            yield "${" + item.when + "}"
            yield from item.args
        else:
            yield item
    yield command.cwd
    yield from command.env.values()


def _files_beside(manifest: Manifest) -> Iterator[str]:
    if manifest.source.folder:
        yield manifest.source.folder
    yield from (file.template for file in manifest.files)
    if manifest.environment:
        yield manifest.environment.requirements
        if manifest.environment.shims:
            yield manifest.environment.shims


def _problems(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())[:500] or type(error).__name__
    shown = [f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}" for item in error.errors()]
    more = f" (and {len(shown) - _PROBLEMS_SHOWN} more)" if len(shown) > _PROBLEMS_SHOWN else ""
    return "; ".join(shown[:_PROBLEMS_SHOWN]) + more


def _bad(message: str) -> TrainerFailure:
    return TrainerFailure(FailureCode.BAD_CONFIG, f"Manifest: {message}.")
