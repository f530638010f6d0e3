"""The training loop."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from sklearn.metrics import log_loss
from vision_trainer.checkpoints import CheckpointIdentity, CheckpointStore, Snapshot, hash_config
from vision_trainer.dataset import open_dataset, training_splits
from vision_trainer.failures import FailureCode, TrainerFailure, TrainingStopped
from vision_trainer.resume import resume_checkpoint
from vision_trainer.run import TrainerJob, TrainerOutcome

from .model import WEIGHTS, load_state, new_model, pixels_of, save_state, weights_of

DEFAULTS: dict[str, Any] = {"image_size": 16, "alpha": 0.0001}
TASK = "image_classification"


def train(job: TrainerJob) -> TrainerOutcome:
    """Settings, data, checkpoint, steps, evaluation, artifacts, result."""
    env = job.env
    settings = read_settings(env.config)
    if env.task_type != TASK:
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"TASK_TYPE: found {env.task_type!r}, expected {TASK!r}.")

    job.events.phase("downloading")
    reader = open_dataset(job.storage, env.dataset_uri, job.cache_dir, task_type=TASK)
    train_samples, val_samples = training_splits(reader)
    x, x_val = (pixels_of(reader, samples, settings["image_size"]) for samples in (train_samples, val_samples))
    y, y_val = (np.array([sample.label for sample in samples]) for samples in (train_samples, val_samples))
    epochs, size, classes = env.epochs or 1, env.batch_size or 1, len(reader.classes)
    steps = -(-len(y) // size)

    asked = {**settings, "epochs": epochs, "batch_size": size, "learning_rate": env.learning_rate, "seed": env.seed}
    about = {"framework": env.framework, "model_name": env.model_name, "task_type": TASK, **settings}
    job.result.put_json("config.json", {**asked, "dataset_uri": env.dataset_uri})
    job.result.put_json("env.json", {"versions": job.versions})
    identity = CheckpointIdentity(
        env.job_id, env.attempt, hash_config(asked), reader.classes, job.versions, model=about
    )
    store = CheckpointStore(job.storage, job.events, identity, env.output_uri, job.work_dir)
    model = new_model(env.learning_rate or 0.01, settings["alpha"], classes, x.shape[1])
    best = weights_of(model)
    progress: dict[str, Any] = {"epoch": 0, "step": 0, "best": -1.0, "best_epoch": 0, "history": []}
    if env.resume_uri:
        found = resume_checkpoint(job.storage, env.resume_uri, job.work_dir / "resume", identity)
        if found:
            best, progress = load_state(found.folder, model)
            store.adopt_pointers(found.pointers)
    job.leave_if_stopped()

    def save(*, is_best: bool = False, periodic: bool = False) -> None:
        folder = store.new_folder()
        save_state(folder, model, best, progress)
        update = progress["epoch"] * steps + progress["step"]
        store.submit(Snapshot(folder, progress["epoch"], update, {}, best=is_best, periodic=periodic))

    job.events.phase("training")
    began, first, last_save = time.monotonic(), progress["epoch"] * steps + progress["step"], time.monotonic()
    while progress["epoch"] < epochs:
        order = np.random.default_rng([env.seed, progress["epoch"]]).permutation(len(y))
        while progress["step"] < steps:
            batch = order[progress["step"] * size :][:size]
            model.partial_fit(x[batch], y[batch])
            progress["step"] += 1
            update = progress["epoch"] * steps + progress["step"]
            pace = (update - first) / (time.monotonic() - began)
            tell_progress(job, progress, epochs, steps, pace, size)
            if job.stop.stop_requested:
                save(periodic=True)
                raise TrainingStopped(job.stop.reason, store.finish(max(1.0, job.stop.grace_left_s() - 2)))
            if job.stop.take_checkpoint_request() or time.monotonic() - last_save > env.checkpoint_every_s:
                save(periodic=True)
                last_save = time.monotonic()

        progress["epoch"], progress["step"] = progress["epoch"] + 1, 0
        shares, labels = model.predict_proba(x_val), np.arange(classes)
        values: dict[str, Any] = {
            "train/loss": float(log_loss(y, model.predict_proba(x), labels=labels)),
            "train/lr": env.learning_rate,
            "val/loss": float(log_loss(y_val, shares, labels=labels)),
            "val/top1": float(np.mean(shares.argmax(axis=1) == y_val)),
        }
        tell_epoch(job, progress["epoch"], progress["epoch"] * steps, values)
        progress["history"].append(values)
        is_best = values["val/top1"] > progress["best"]
        if is_best:
            best = weights_of(model)
            progress["best"], progress["best_epoch"] = values["val/top1"], progress["epoch"]
        save(is_best=is_best)

    job.events.phase("uploading")
    store.finish(60)
    return finish(job, best, progress, reader.classes)


def read_settings(config: dict[str, Any]) -> dict[str, Any]:
    """The hyper-parameters with their defaults. The gateway checked them; by hand nobody did."""
    unknown = sorted(set(config) - set(DEFAULTS))
    if unknown:
        expected = ", ".join(DEFAULTS)
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"CONFIG_JSON: found {', '.join(unknown)}, expected {expected}.")
    return {**DEFAULTS, **config}


def tell_progress(job: TrainerJob, progress: dict[str, Any], epochs: int, steps: int, pace: float, size: int) -> None:
    """Every step may say so: of what comes too often the kit sends the latest."""
    done = progress["epoch"] * steps + progress["step"]
    data = {"epoch": progress["epoch"] + 1, "epochs": epochs, "step": progress["step"], "steps": steps}
    rates = {"eta_s": (epochs * steps - done) / pace, "samples_per_s": pace * size}
    job.events.publish("progress", {**data, "pct": 100 * done / (epochs * steps), **rates})


def tell_epoch(job: TrainerJob, epoch: int, step: int, values: dict[str, Any]) -> None:
    """The metrics of an epoch, by split."""
    for split in ("train", "val"):
        mine = {name: value for name, value in values.items() if name.startswith(f"{split}/")}
        data = {"scope": "epoch", "split": split, "epoch": epoch, "step": step, "values": mine}
        job.events.publish("metrics", data)


def finish(job: TrainerJob, best: dict[str, Any], progress: dict[str, Any], classes: list[str]) -> TrainerOutcome:
    """Artifacts first, RESULT.json last; the terminal event is the kit's."""
    history = progress["history"]
    metrics = history[progress["best_epoch"] - 1]
    weights, labels, lines = (job.work_dir / name for name in (WEIGHTS, "labels.json", "metrics.jsonl"))
    save_file(best, weights)
    Path(labels).write_text(json.dumps(classes))
    Path(lines).write_text("".join(json.dumps({"epoch": at, **row}) + "\n" for at, row in enumerate(history, 1)))
    job.result.add_artifact(weights, WEIGHTS)
    job.result.add_artifact(labels, "labels.json")
    job.result.add_artifact(lines, "metrics.jsonl", folder="")
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)
