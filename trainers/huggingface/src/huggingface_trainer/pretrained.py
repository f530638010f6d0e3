"""Published weights: out of the platform's store (PRETRAINED_URI), or from the hub where the network is allowed."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

from torch import nn
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob
from vision_trainer.storage import HashMismatch, ObjectMissing

from .captions import CaptionTokens
from .model_list import ModelSpec, family_of
from .models import model_class, unfrozen

# The files of a published model that are of use; nothing else is taken out of an archive.
_WANTED = {"config.json", "model.safetensors", "tokenizer.json", "vocab.txt"}
_LARGEST_FILE_BYTES = 16 << 30


def fetch_pretrained(job: TrainerJob, spec: ModelSpec) -> Path:
    """A local folder with model.safetensors and, where it was an archive, config.json and the tokenizer.

    Raises MODEL_UNAVAILABLE when the weights cannot be had or are not what they should be.
    """
    env = job.env
    folder = job.work_dir / "pretrained"
    folder.mkdir(exist_ok=True)
    if env.pretrained_uri:
        _from_store(job, env.pretrained_uri, folder)
    elif env.allow_network and spec.hub:
        _from_hub(spec.hub, folder)
    else:
        raise _unavailable(
            f"Pretrained weights of {spec.name} are not at hand and this job may not use the network. Place them in "
            f"the platform's store (vp models add-weights: s3://{env.storage.bucket}/weights/{env.framework}/"
            f"{spec.name}.safetensors or .tar) and submit the job again, or set pretrained to false."
        )
    _check_config(folder, spec)
    return folder


def pretrained_tokens(folder: Path, spec: ModelSpec) -> CaptionTokens | None:
    """The published tokenizer of a captioning model, where the archive held one."""
    if spec.family != "blip" or not any((folder / name).exists() for name in ("tokenizer.json", "vocab.txt")):
        return None
    text = spec.config["text_config"]
    config = folder / "config.json"
    if config.exists():
        text = {**text, **json.loads(config.read_text(encoding="utf-8")).get("text_config", {})}
    return CaptionTokens.from_folder(folder, text["pad_token_id"], text["bos_token_id"], text["sep_token_id"])


def load_pretrained(folder: Path, spec: ModelSpec, config: Any) -> tuple[nn.Module, list[str]]:
    """(the model with the published weights, the parameters that start afresh because they depend on the classes).

    transformers only warns about weights that it does not find and leaves them at random: here that is a failure,
    except for the head. Raises MODEL_UNAVAILABLE.
    """
    family = family_of(spec)
    try:
        model, info = model_class(family).from_pretrained(
            str(folder),
            config=config,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except Exception as error:
        raise _unavailable(
            f"The pretrained weights of {spec.name} cannot be loaded: {type(error).__name__}: {str(error)[:300]}"
        ) from error
    mismatched = [name if isinstance(name, str) else name[0] for name in info["mismatched_keys"]]
    fresh = sorted({*info["missing_keys"], *mismatched})
    fresh = [name for name in fresh if not name.endswith("num_batches_tracked")]
    foreign = [name for name in fresh if not name.startswith(family.head)]
    if foreign:
        raise _unavailable(
            f"PRETRAINED_URI: {len(foreign)} weights of {spec.name} are missing there or have another shape (first: "
            f"{', '.join(foreign[:3])}): it belongs to another model or to another input size."
        )
    return unfrozen(model), fresh


def _from_store(job: TrainerJob, uri: str, folder: Path) -> None:
    archive = uri.endswith(".tar")
    path = folder / ("pretrained.tar" if archive else "model.safetensors")
    try:
        job.storage.download(uri, path, sha256=job.storage.stored_sha256(uri))
    except (ObjectMissing, HashMismatch) as error:
        raise _unavailable(f"PRETRAINED_URI: {error.message}") from error
    if archive:
        try:
            _extract(path, folder)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise _unavailable(f"PRETRAINED_URI: {uri} is not a readable tar archive.") from error
        finally:
            path.unlink(missing_ok=True)
    if not (folder / "model.safetensors").exists():
        raise _unavailable(f"PRETRAINED_URI: {uri} holds no model.safetensors.")


def _extract(archive: Path, folder: Path) -> None:
    """Takes the wanted files, by their last name; links, devices, paths and everything else stay in the archive."""
    with tarfile.open(archive, "r:") as tar:
        for member in tar:
            name = PurePosixPath(member.name).name
            if not member.isfile() or name not in _WANTED or member.size > _LARGEST_FILE_BYTES:
                continue
            content = tar.extractfile(member)
            if content is not None:
                with (folder / name).open("wb") as file:
                    while block := content.read(1 << 20):
                        file.write(block)


def _from_hub(hub: str, folder: Path) -> None:
    from huggingface_hub import snapshot_download

    repository, _, rest = hub.partition(" (revision ")
    try:
        snapshot_download(
            repository,
            revision=rest.rstrip(")") or None,
            allow_patterns=sorted(_WANTED),
            local_dir=folder,
        )
    except Exception as error:
        raise _unavailable(f"The hub did not give {hub}: {type(error).__name__}.") from error
    if not (folder / "model.safetensors").exists():
        raise _unavailable(f"{hub} has no model.safetensors.")


def _check_config(folder: Path, spec: ModelSpec) -> None:
    """The archive's own config.json decides nothing; it only tells whether the weights are of this architecture."""
    path = folder / "config.json"
    if not path.exists():
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["model_type"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise _unavailable("PRETRAINED_URI: its config.json cannot be read.") from error
    if found != spec.family:
        raise _unavailable(f"PRETRAINED_URI: found the weights of a {found!r}, expected {spec.family!r}.")


def _unavailable(message: str) -> TrainerFailure:
    return TrainerFailure(FailureCode.MODEL_UNAVAILABLE, message)
