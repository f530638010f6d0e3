"""What a training tells about itself: config.json, env.json, the history and the labels."""

from __future__ import annotations

import json
import platform

from vision_trainer.cpu_limits import available_cpus
from vision_trainer.dataset import DatasetReader
from vision_trainer.run import TrainerJob

from .repository_job import Repository
from .training_record import TrainingRecord


def upload_history(job: TrainerJob, record: TrainingRecord, repository: Repository) -> None:
    """history.json and labels.json as artifacts, metrics.jsonl beside them."""
    rows = [{"epoch": epoch, **row} for epoch, row in sorted(record.history.items())]
    labels = {
        "classes": repository.variables["classes"],
        "model_name": job.env.model_name,
        "repository": {"git": repository.chosen.git, "commit": repository.chosen.commit},
        "epoch": record.best_epoch or record.epoch,
    }
    for name, text, folder in (
        ("history.json", json.dumps(rows, indent=1), "artifacts"),
        ("labels.json", json.dumps(labels, indent=1, ensure_ascii=False), "artifacts"),
        ("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows), ""),
    ):
        path = job.work_dir / name
        path.write_text(text, encoding="utf-8")
        job.result.add_artifact(path, name, folder=folder)


def describe_run(job: TrainerJob, repository: Repository, reader: DatasetReader) -> None:
    """config.json (what was asked for, in effect) and env.json (what it runs on)."""
    env, chosen = job.env, repository.chosen
    job.result.put_json(
        "config.json",
        {
            **settings_in_effect(job, repository),
            "dataset_uri": env.dataset_uri,
            "pretrained_uri": env.pretrained_uri,
            "classes": reader.classes,
            "git": chosen.git,
        },
    )
    job.result.put_json(
        "env.json",
        {
            "attempt": env.attempt,
            "versions": job.versions,
            "device": repository.variables["device"],
            "cpus": available_cpus(),
            "processes": env.num_processes,
            "threads": repository.variables["threads"],
            "python": str(repository.environment.python.resolve().name),
            "manifest": repository.manifest.model_dump(mode="json", by_alias=True),
            "platform": platform.platform(),
        },
    )
    shown = {name: value for name, value in repository.params.items() if value is not None}
    job.events.log(
        "info",
        f"{repository.manifest.name} at {chosen.commit[:12]}: {env.epochs} epochs, batch {env.batch_size}, learning "
        f"rate {env.learning_rate:g}, seed {env.seed}, {repository.variables['device']} x {env.num_processes}, "
        f"{json.dumps(shown)}.",
    )


def settings_in_effect(job: TrainerJob, repository: Repository) -> dict[str, object]:
    """All that decides what a training does; two with the same may continue each other."""
    env = job.env
    return {
        "model_name": env.model_name,
        "task_type": env.task_type,
        "epochs": env.epochs,
        "batch_size": env.batch_size,
        "learning_rate": env.learning_rate,
        "seed": env.seed,
        "dataset": [env.dataset_id, env.dataset_version],
        "commit": repository.chosen.commit,
        "manifest_sha256": repository.manifest_sha256,
        "params": repository.params,
    }
