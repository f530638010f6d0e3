"""`python -m stub_trainer`: one job, told by its environment (contract.md)."""

from __future__ import annotations

import json
import os

from vision_trainer.environment import TrainerEnvironment
from vision_trainer.run import TrainerJob, TrainerOutcome, exit_process, run_trainer


def _main(job: TrainerJob) -> TrainerOutcome:
    from . import derived, lies
    from .train import train

    lies.begin(job)
    kinds = {"train": train, "evaluate": derived.evaluate, "predict": derived.predict, "export": derived.export}
    return kinds[job.env.job_kind](job)


def _effective_batch_size(env: TrainerEnvironment) -> int:
    accumulation = env.config.get("grad_accumulation", 1)
    return (env.batch_size or 0) * (accumulation if isinstance(accumulation, int) else 1)


def _lies() -> list[str]:
    """What config.lies asks for; a bad CONFIG_JSON is dealt with later, by the kit."""
    try:
        found = json.loads(os.environ.get("CONFIG_JSON") or "{}").get("lies")
    except (ValueError, AttributeError, RecursionError):
        return []
    return found if isinstance(found, list) else []


if __name__ == "__main__":
    if lies_told := _lies():
        from .lies import install

        install(lies_told)
    exit_process(
        run_trainer(
            _main,
            kinds=("train", "evaluate", "predict", "export"),
            packages=("stub-trainer",),
            effective_batch_size=_effective_batch_size,
        )
    )
