# SPDX-License-Identifier: AGPL-3.0-only
"""Keeps the framework inside the job's folder and off the network: before it is imported, and right after."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any, NoReturn

# Everything that would send, fetch, install or draw something behind the job's back. The framework reads the
# variables at import, the settings file too.
_VARIABLES = {
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "WANDB_MODE": "disabled",
    "MPLBACKEND": "agg",
    # onnxruntime tells its maker about models unless it is told not to.
    "ORT_DISABLE_TELEMETRY": "1",
    # Without it, cuBLAS may add up in another order each time.
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
_SWITCHED_OFF = ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb", "vscode_msg")


def prepare(work_dir: Path) -> None:
    """Sets the environment of this process; call it before `ultralytics` is imported.

    Its configuration, caches and weights then lie under `work_dir`, which is deleted with the job.
    """
    home = work_dir / "framework"
    config = home / "Ultralytics"
    config.mkdir(parents=True, exist_ok=True)
    os.environ.update(_VARIABLES, YOLO_CONFIG_DIR=str(home), MPLCONFIGDIR=str(home))
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(home / "inductor")
    # The framework would take these for a distributed run it started itself; we start our processes on our own.
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        os.environ.pop(name, None)
    settings: dict[str, Any] = dict.fromkeys(_SWITCHED_OFF, False)
    for name in ("datasets", "weights", "runs"):
        settings[f"{name}_dir"] = str(home / name)
    (config / "settings.json").write_text(json.dumps(settings))


def tame(work_dir: Path) -> None:
    """Closes what no setting closes; call it right after the import."""
    import ultralytics.engine.trainer as engine
    from PIL import Image
    from ultralytics.utils import LOGGER, SETTINGS, callbacks, checks, downloads, patches

    # Its log goes to stdout, which may be the event channel.
    LOGGER.handlers.clear()
    LOGGER.propagate = True
    LOGGER.setLevel(logging.WARNING)
    # Not so here: each sample is drawn with its own random numbers.
    LOGGER.addFilter(lambda record: "cache='ram' may produce non-deterministic" not in record.getMessage())
    SETTINGS.update(dict.fromkeys(_SWITCHED_OFF, False))
    callbacks.add_integration_callbacks = _no_integrations
    # It would fetch a model and compare two predictions of it; known bad GPUs are told by their names as there.
    engine.check_amp = _amp_works
    engine.init_seeds = _seed
    # Theirs would install a package when it meets a broken image.
    Image.open = patches._image_open
    checks.check_font = _no_font
    downloads.safe_download = _refuse_download


def _no_integrations(instance: object) -> None:
    """Stands in for add_integration_callbacks: analytics, its own platform, and trackers."""


def _amp_works(model: Any) -> bool:
    """Whether fp16 may be used: not on a CPU, nor on the GPUs the framework's own check_amp lists by name."""
    import re

    import torch

    device = next(model.parameters()).device
    if device.type != "cuda":
        return False
    weak = r"(nvidia|geforce|quadro|tesla).*?(1660|1650|1630|t400|t550|t600|t1000|t1200|t2000|k40m)"
    return re.search(weak, torch.cuda.get_device_name(device), re.IGNORECASE) is None


def _seed(seed: int = 0, deterministic: bool = False) -> None:
    """Seeds all generators and asks for deterministic operations where there are any.

    torch.use_deterministic_algorithms would do the second, but loads torch's compiler first: seconds.
    """
    import torch

    from .sampling import seed_generators

    seed_generators(seed, device=True)
    torch._C._set_deterministic_algorithms(deterministic, warn_only=True)
    torch.backends.cudnn.deterministic = deterministic
    # Not needed where all operations are asked to be deterministic anyway, and slow.
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010


def _no_font(font: str = "") -> None:
    """Nothing is plotted, so no font is fetched."""


def _refuse_download(*args: object, **named: object) -> NoReturn:
    raise ConnectionError("This trainer downloads nothing; the framework asked for a file.")
