"""`python -m dataset_trainer`: one ingest job, from the environment to the exit code."""

from vision_trainer.run import exit_process, run_trainer

from .ingest import ingest, translate

if __name__ == "__main__":
    exit_process(run_trainer(ingest, kinds=("ingest",), packages=("pillow",), translate=translate))
