"""The repository's model, and what it finds in the objects of a COCO file."""

import json
import tempfile
from pathlib import Path

import mmcv_custom  # noqa: F401 - registers the backbone's helpers
import numpy as np
from mmcv import Config
from mmcv.parallel import MMDataParallel
from mmcv.runner import load_checkpoint
from mmpose.apis import single_gpu_test
from mmpose.datasets import build_dataloader, build_dataset
from mmpose.models import build_posenet


def load(config_path, checkpoint, device="cpu"):
    """(model in evaluation mode, configuration)."""
    config = Config.fromfile(config_path)
    config.model.pretrained = None
    model = build_posenet(config.model)
    load_checkpoint(model, checkpoint, map_location="cpu")
    return model.to(device).eval(), config


def find(model, config, device, annotations=None, images=None):
    """(figures of the repository's evaluation, results as COCO writes them, its data set)."""
    options = config.data.test
    if annotations is not None:
        options.ann_file, options.img_prefix = annotations, f"{images}/"
    data = build_dataset(options, dict(test_mode=True))
    loader = build_dataloader(
        data, config.data.samples_per_gpu, 0, num_gpus=1, dist=False, shuffle=False, drop_last=False
    )
    wrapped = MMDataParallel(model, device_ids=[0] if device.startswith("cuda") else [-1])
    outputs = single_gpu_test(wrapped, loader)
    with tempfile.TemporaryDirectory() as folder:
        figures = data.evaluate(outputs, folder, metric="mAP")
        results = json.loads(Path(folder, "result_keypoints.json").read_text())
    return figures, results, data


def object_of(result, category):
    """A result as the platform takes it: key points x, y, score; the box that they were looked for in."""
    points = np.asarray(result["keypoints"], float).reshape(-1, 3)
    width, height = (float(value) * 200 / 1.25 for value in result["scale"])
    x, y = result["center"]
    return {
        "category": category,
        "score": min(1.0, max(0.0, float(result["score"]))),
        "box": [x - width / 2, y - height / 2, width, height],
        "keypoints": [[float(px), float(py), min(1.0, max(0.0, float(score)))] for px, py, score in points],
    }


def similarity(points, annotation, sigmas):
    """OKS, COCO's similarity of key points, over the labelled ones of an object."""
    truth = np.asarray(annotation["keypoints"], float).reshape(-1, 3)
    seen = truth[:, 2] > 0
    if not seen.any():
        return 1.0
    distance = ((np.asarray(points)[:, :2] - truth[:, :2]) ** 2).sum(1)
    share = distance / ((2 * sigmas) ** 2) / (annotation["area"] + np.spacing(1)) / 2
    return float(np.exp(-share)[seen].mean())


def write_json(path, content):
    """Writes a JSON file."""
    Path(path).write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
