"""`python -m sklearn_trainer`: one training job, told by its environment."""

from vision_trainer.run import TrainerJob, TrainerOutcome, exit_process, run_trainer


def main(job: TrainerJob) -> TrainerOutcome:
    """Loads the slow imports only now, when `started` is out."""
    from .train import train

    return train(job)


if __name__ == "__main__":
    exit_process(run_trainer(main, kinds=("train",), packages=("scikit-learn", "numpy")))
