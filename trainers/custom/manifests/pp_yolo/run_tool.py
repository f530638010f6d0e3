"""Runs one of the repository's tools with the job's settings: run_tool.py <job.json> <tools/….py> <words of the tool…>.

The tool loads its configuration from the repository's own file; what the job says is put in right after that. Settings
that the job leaves open stay the repository's. The tools take no seed: it is set here, before they begin.
"""

import json
import runpy
import sys
from pathlib import Path

import ppdet.core.workspace as workspace

REPOSITORY = Path(workspace.__file__).parents[2]


def read_job(path):
    """The settings; texts that are empty mean: as in the repository."""
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    return {name: None if value == "" else value for name, value in job.items()}


def apply(config, job):
    """Puts the job's settings into a loaded configuration."""
    scale_schedule(config, job)
    config.update(
        use_gpu=bool(job["gpu"]),
        epoch=job["epochs"] or config["epoch"],
        num_classes=len(job["classes"]),
        worker_num=job["num_workers"],
        save_dir=f"{job['output']}/run",
        snapshot_epoch=1,
        log_iter=1,
        pretrain_weights=job["pretrained"] or "",
    )
    config["TrainReader"].update(batch_size=job["batch_size"], use_shared_memory=False)
    config["TrainReader"]["sample_transforms"] = [
        step for step in config["TrainReader"]["sample_transforms"] if not is_off(step, job)
    ]
    if job["mixup"] == "false":
        # Otherwise the data set still hands out pairs.
        config["TrainReader"]["mixup_epoch"] = -1
    if job["learning_rate"]:
        config["LearningRate"]["base_lr"] = job["learning_rate"]
    optimizer = config["OptimizerBuilder"]
    if job["momentum"] is not None:
        optimizer["optimizer"]["momentum"] = float(job["momentum"])
    if job["weight_decay"] is not None:
        optimizer["regularizer"]["factor"] = float(job["weight_decay"])
    if job["ema"] is not None:
        config["use_ema"] = job["ema"] == "true"
    if job["image_size"] is not None:
        resize(config, int(job["image_size"]))
    point_at_data(config, job)


def is_off(step, job):
    """Whether the job switched this augmentation off."""
    names = {"Mixup": "mixup", "RandomExpand": "expand", "RandomFlip": "flip"}
    return any(job[names[name]] == "false" for name in step if name in names)


def scale_schedule(config, job):
    """The steps of the learning rate come at the same shares of the training as in the repository."""
    for scheduler in config["LearningRate"]["schedulers"]:
        if hasattr(scheduler, "milestones") and job["epochs"]:
            share = job["epochs"] / config["epoch"]
            scheduler.milestones = [max(1, round(epoch * share)) for epoch in scheduler.milestones]
        if hasattr(scheduler, "start_factor") and job["warmup_steps"] is not None:
            scheduler.steps, scheduler.epochs = int(job["warmup_steps"]), None


def resize(config, size):
    """One size instead of the repository's mix."""
    for step in config["TrainReader"]["batch_transforms"]:
        if "BatchRandomResize" in step:
            step["BatchRandomResize"]["target_size"] = [size]
    for reader in ("EvalReader", "TestReader"):
        for step in config[reader]["sample_transforms"]:
            if "Resize" in step:
                step["Resize"]["target_size"] = [size, size]
    config["TestReader"]["inputs_def"]["image_shape"] = [3, size, size]


def point_at_data(config, job):
    """The job's data instead of COCO's."""
    for name, folder, annotations in (
        ("TrainDataset", job["train_dir"], job["train_json"]),
        ("EvalDataset", job["eval_dir"], job["eval_json"]),
    ):
        data = config[name]
        if annotations:
            data.update(dataset_dir="/", image_dir=folder, anno_path=annotations, allow_empty=True)
    names = Path(job["output"]) / "labels.txt"
    names.write_text("".join(f"{name}\n" for name in job["classes"]), encoding="utf-8")
    config["TestDataset"].update(anno_path=str(names), dataset_dir="")


def count_nothing_as_zero():
    """Where nothing at all was found the repository measures nothing, saves no best model and says so nowhere."""
    from ppdet.metrics import COCOMetric

    accumulate = COCOMetric.accumulate

    def accumulate_always(metric):
        accumulate(metric)
        if not metric.results["bbox"] and not metric.save_prediction_only:
            metric.eval_results["bbox"] = [0.0] * 12
            for overlap in ("0.50:0.95", "0.50     "):
                print(f" Average Precision  (AP) @[ IoU={overlap} | area=   all | maxDets=100 ] = 0.000", flush=True)

    COCOMetric.accumulate = accumulate_always


def run(job, tool, words):
    """Hands over to the tool, which then is the main program."""
    from ppdet.engine import set_random_seed

    load = workspace.load_config

    def load_config(path):
        config = load(path)
        apply(config, job)
        return config

    workspace.load_config = load_config
    count_nothing_as_zero()
    set_random_seed(job["seed"])
    config = REPOSITORY / "configs/ppyolo" / f"{job['architecture']}.yml"
    sys.argv = [str(REPOSITORY / tool), "-c", str(config), *words]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        workspace.load_config = load


if __name__ == "__main__":
    run(read_job(sys.argv[1]), sys.argv[2], sys.argv[3:])
