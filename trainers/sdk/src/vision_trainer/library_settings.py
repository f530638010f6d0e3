"""What third-party libraries are told before they are imported: no reports home, caches in the job's folder."""

from __future__ import annotations

import os
from pathlib import Path

# Each library has its own switch. onnxruntime's is on by default on Linux since 1.29.
_SILENCE = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
# Variable -> folder below the job's: otherwise these end in the home folder or in /tmp and stay there.
_CACHES = {
    "XDG_CACHE_HOME": "xdg",
    "HF_HOME": "huggingface",
    "TORCH_HOME": "torch",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "MPLCONFIGDIR": "matplotlib",
    "NUMBA_CACHE_DIR": "numba",
    "CUPY_CACHE_DIR": "cupy",
}


def settle_libraries(work_dir: Path, *, allow_network: bool) -> None:
    """Sets the variables in os.environ, over what is there. `work_dir` is the job's folder, deleted at its end.

    Without `allow_network` the hubs are told that they are offline, so that a missing file is an error at once and not
    a download.
    """
    os.environ.update(_SILENCE)
    if not allow_network:
        os.environ.update(_OFFLINE)
    for name, folder in _CACHES.items():
        os.environ[name] = str(work_dir / "library-caches" / folder)
