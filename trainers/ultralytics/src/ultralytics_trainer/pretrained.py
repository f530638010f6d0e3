# SPDX-License-Identifier: AGPL-3.0-only
"""Published weights from the platform's store (PRETRAINED_URI); this trainer downloads nothing from elsewhere.

The framework publishes its weights as pickled models. Such a file is taken from the store alone, with the sha256 it was
stored with, and read by torch's restricted unpickler: only tensors, plain values and the classes of the framework's
and torch's network modules are let in, whose constructors are not called.
"""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob
from vision_trainer.storage import HashMismatch, ObjectMissing

_PICKLED = (".pt", ".pth")
_NETWORK_MODULES = (
    "torch.nn.modules",
    "ultralytics.nn.modules",
    "ultralytics.nn.tasks",
)


def load_pretrained(job: TrainerJob, network: nn.Module) -> None:
    """Copies every weight whose name and shape fit; the head of another class count starts afresh.

    Raises MODEL_UNAVAILABLE when there is no such file, when it is not what it was when it was stored, when it is no
    file of weights, or when it is another model's.
    """
    name, uri = job.env.model_name, job.env.pretrained_uri
    if uri is None:
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"Pretrained weights of {name} are not at hand, and this trainer downloads nothing. Place the model's file "
            f"at s3://{job.env.storage.bucket}/weights/{job.env.framework}/{name}.pt "
            f"(vp models add-weights {job.env.framework} {name} <file>) and submit the job again, or set pretrained to "
            "false.",
        )
    weights = _fetch(job, uri)
    own = network.state_dict()
    fitting = {key: value for key, value in weights.items() if key in own and own[key].shape == value.shape}
    learned = [key for key, _ in network.named_parameters()]
    taken = sum(key in fitting for key in learned)
    if taken < len(learned) / 2:
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"PRETRAINED_URI: only {taken} of {len(learned)} weights of {name} are in {uri}; it belongs to another "
            "model.",
        )
    network.load_state_dict({key: value.float() for key, value in fitting.items()}, strict=False)
    fresh = [key for key in learned if key not in fitting]
    words = f"; starting afresh: {', '.join(fresh[:20])}" if fresh else ""
    job.events.log("info", f"Pretrained weights: {taken} of {len(learned)} taken{words}")


def _fetch(job: TrainerJob, uri: str) -> dict[str, Tensor]:
    path = job.work_dir / "pretrained"
    try:
        job.storage.download(uri, path, sha256=job.storage.stored_sha256(uri))
        if uri.endswith(_PICKLED):
            return read_pickled(path)
        weights: dict[str, Tensor] = load_file(path)
    except ObjectMissing as error:
        raise TrainerFailure(FailureCode.MODEL_UNAVAILABLE, f"PRETRAINED_URI: {error.message}") from error
    except HashMismatch as error:
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"PRETRAINED_URI: {error.message} The file was damaged in the store; add the weights again.",
        ) from error
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, AttributeError, EOFError) as error:
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"PRETRAINED_URI: {uri} is not a file of weights (safetensors, or a model saved by this framework): "
            f"{type(error).__name__}: {str(error)[:300]}",
        ) from error
    finally:
        path.unlink(missing_ok=True)
    return weights


def read_pickled(path: Any) -> dict[str, Tensor]:
    """The weights of a file that the framework saved, or of one that holds tensors alone.

    Raises pickle.UnpicklingError for anything else in it, also where there are no weights.
    """
    with torch.serialization.safe_globals(_network_classes()):
        content: Any = torch.load(path, weights_only=True, map_location="cpu")
    if isinstance(content, dict):
        content = next(
            (content[key] for key in ("ema", "model", "state_dict") if content.get(key) is not None), content
        )
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, dict):
        raise pickle.UnpicklingError("it holds no weights")
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _network_classes() -> list[Any]:
    """The module classes a network of this framework is made of, and what describes it."""
    import importlib
    import pkgutil

    from ultralytics.utils import IterableSimpleNamespace

    found: set[Any] = {IterableSimpleNamespace, set, slice, torch.Size}
    for name in _NETWORK_MODULES:
        package = importlib.import_module(name)
        inside = [f"{name}.{item.name}" for item in pkgutil.iter_modules(getattr(package, "__path__", []))]
        for module_name in (name, *inside):
            module = importlib.import_module(module_name)
            for _, member in inspect.getmembers(module, inspect.isclass):
                if issubclass(member, nn.Module) and member.__module__.startswith(_NETWORK_MODULES):
                    found.add(member)
    return list(found)
