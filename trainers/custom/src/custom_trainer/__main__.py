"""`python -m custom_trainer`: one job, told by its environment (contract.md)."""

from __future__ import annotations

from vision_trainer.run import TrainerJob, TrainerOutcome, exit_process, run_trainer


def _main(job: TrainerJob) -> TrainerOutcome:
    match job.env.job_kind:
        case "train":
            from .train_job import train

            return train(job)
        case "evaluate":
            from .evaluate_job import evaluate

            return evaluate(job)
        case "predict":
            from .predict_job import predict

            return predict(job)
        case _:
            from .export_job import export

            return export(job)


if __name__ == "__main__":
    exit_process(run_trainer(_main, kinds=("train", "evaluate", "predict", "export"), packages=("custom-trainer",)))
