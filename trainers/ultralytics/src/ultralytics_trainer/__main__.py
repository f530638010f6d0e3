# SPDX-License-Identifier: AGPL-3.0-only
"""`python -m ultralytics_trainer`: one job, told by its environment (contract.md).

Nothing heavy is imported here, so that `started` is out within a fraction of a second.
"""

from __future__ import annotations

from vision_trainer.environment import TrainerEnvironment
from vision_trainer.failures import TrainerFailure
from vision_trainer.run import TrainerJob, TrainerOutcome, exit_process, run_trainer


def _effective_batch_size(env: TrainerEnvironment) -> int:
    accumulation = env.config.get("grad_accumulation", 1)
    return (env.batch_size or 0) * (accumulation if isinstance(accumulation, int) else 1)


def _translate(error: BaseException) -> TrainerFailure | None:
    from .framework_errors import translate

    return translate(error)


def _main(job: TrainerJob) -> TrainerOutcome:
    from .start import start

    return start(job)


if __name__ == "__main__":
    exit_process(
        run_trainer(
            _main,
            kinds=("train", "evaluate", "predict", "export"),
            packages=("torch", "torchvision", "ultralytics", "onnx", "onnxruntime", "ultralytics-trainer"),
            translate=_translate,
            effective_batch_size=_effective_batch_size,
        )
    )
