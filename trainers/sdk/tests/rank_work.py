"""What the ranks of test_ranks.py do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from vision_trainer.failures import FailureCode, TrainerFailure

Plan = dict[str, str]


def prepare() -> Callable[[int, Plan], None]:
    """Called in each child at once."""
    return work


def work(rank: int, plan: Plan) -> None:
    """Writes down who and in which environment it is, then does what the plan says."""
    folder = Path(plan["folder"])
    (folder / f"environ-{rank}").write_bytes(Path("/proc/self/environ").read_bytes())
    partial = folder / f".rank-{rank}"
    partial.write_text(str(os.getpid()))
    partial.rename(folder / f"rank-{rank}")
    if plan["mode"] == "invalid":
        raise TrainerFailure(FailureCode.DATASET_INVALID, "train-00000001 is broken.")
    if plan["mode"] == "bug":
        raise RuntimeError("shapes do not fit")
    if plan["mode"] == "wait":
        time.sleep(60)


def lead(folder: str) -> None:
    """A rank 0 that starts two others and then does nothing: what is left when it is killed?"""
    from vision_trainer.environment import SECRET_VARIABLES, remove_secrets
    from vision_trainer.ranks import Ranks

    assert set(SECRET_VARIABLES) & set(os.environ)
    remove_secrets(os.environ)
    ranks = Ranks(3, "rank_work:prepare", lambda failure: None)
    ranks.send({"folder": folder, "mode": "wait"})
    time.sleep(60)
