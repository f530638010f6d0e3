"""The smallest trainer: what a test needs to see the frame around it. CONFIG_JSON's `mode` tells what it does."""

from __future__ import annotations

import json
import os
import time

from vision_trainer.failures import TrainingStopped
from vision_trainer.run import TrainerJob, TrainerOutcome, exit_process, run_trainer


def main(job: TrainerJob) -> TrainerOutcome:
    """Does what CONFIG_JSON's `mode` says."""
    mode = job.env.config.get("mode")
    if mode == "bug":
        secret = job.env.storage.secret_access_key
        raise RuntimeError(f"the password is {secret}")
    if mode == "environment":
        job.events.log("info", " ".join(sorted(os.environ)))
    if mode == "values":
        job.events.log("info", json.dumps({name: value for name, value in os.environ.items() if len(value) < 200}))
    if mode == "artifacts":
        path = job.work_dir / "one"
        path.write_text("one")
        for number in range(120):
            job.result.add_artifact(path, f"overlays/{number:05d}.jpg")
        job.result.add_artifact(path, "summary.json")
    if mode == "wait":
        job.events.phase("training")
        while not job.stop.stop_requested:
            if job.stop.take_checkpoint_request():
                job.events.log("info", "checkpoint")
            time.sleep(0.01)
        time.sleep(float(job.env.config.get("slow", 0)))
        raise TrainingStopped(job.stop.reason, None)
    job.result.write("succeeded", {"val/top1": 1.0})
    return TrainerOutcome({"val/top1": 1.0})


if __name__ == "__main__":
    exit_process(run_trainer(main, kinds=("train",)))
