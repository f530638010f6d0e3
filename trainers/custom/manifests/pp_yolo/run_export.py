"""run_export.py <job.json> <weights> <export folder>: tools/export_model.py, paddle2onnx, and both models compared."""

import json
import sys
import tempfile
from pathlib import Path

import detection_report as reports
import numpy as np
import onnx
import onnxruntime
import paddle
import paddle2onnx
import run_tool
from safetensors.numpy import save_file

MOST_SAMPLES = 16
OPSET = 16
APART = 1e9


def spell_out():
    """paddle2onnx 2.1 misreads two numbers of Paddle 3.3: the share by which to enlarge, and the slope of a leaky ReLU.

    The same is said in operators that it reads well; the parity below tells whether that is so.
    """
    functions = paddle.nn.functional
    original = functions.interpolate

    def interpolate(x, size=None, scale_factor=None, *args, **options):
        if size is None and isinstance(scale_factor, int | float):
            size, scale_factor = [int(side * scale_factor) for side in x.shape[2:]], None
        return original(x, size, scale_factor, *args, **options)

    def leaky_relu(x, negative_slope=0.01, name=None):
        return paddle.maximum(x, x * paddle.full([1], negative_slope, x.dtype))

    functions.interpolate, functions.leaky_relu = interpolate, leaky_relu


def everything(boxes, scores, classes):
    """Takes the place of non-maximum suppression, whose choice between near equals no two programs make alike."""
    return boxes, scores, None


def export_network(job, weights, folder):
    """Runs the repository's tool on the network up to its non-maximum suppression.

    Returns (the network, that suppression, its configuration, the folder of the static model).
    """
    from ppdet.engine import Trainer

    spell_out()
    kept = {}
    original = Trainer.export

    def export(trainer, *args, **options):
        kept["network"], kept["config"] = trainer.model, trainer.cfg
        kept["nms"], trainer.model.post_process.nms = trainer.model.post_process.nms, everything
        return original(trainer, *args, **options)

    Trainer.export = export
    run_tool.run(job, "tools/export_model.py", ["--output_dir", folder, "-o", f"weights={weights}"])
    return kept["network"], kept["nms"], kept["config"], Path(folder) / job["architecture"]


def inputs_of(path, config):
    """A picture as the repository's own transforms prepare it."""
    from ppdet.data.reader import Compose

    sample = {"im_id": np.array([0]), "im_file": str(path), "curr_iter": 0}
    sample = Compose(config["TestReader"]["sample_transforms"], num_classes=config["num_classes"])(sample)
    return {name: np.asarray(sample[name], np.float32)[None] for name in ("image", "im_shape", "scale_factor")}


def objects_of(boxes, scores, nms, classes):
    """Detections of one picture, after the repository's own suppression."""
    rows = nms(paddle.to_tensor(boxes), paddle.to_tensor(scores), classes)[0].numpy()
    return [
        {"category": int(row[0]), "score": float(row[1]), "box": [*row[2:4].tolist(), *(row[4:6] - row[2:4]).tolist()]}
        for row in rows
        if row[0] >= 0
    ]


def main():
    """Exports, compares, writes."""
    path, weights, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    job = run_tool.read_job(path)
    with tempfile.TemporaryDirectory() as work:
        network, nms, config, static = export_network(job, weights, work)
        model = next(item for item in (static / "model.json", static / "model.pdmodel") if item.exists())
        paddle2onnx.export(
            str(model),
            str(static / "model.pdiparams"),
            str(folder / "model.onnx"),
            opset_version=OPSET,
            # Its usual tool installs packages by itself.
            optimize_tool="none",
        )
    onnx.checker.check_model(str(folder / "model.onnx"))
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    network.eval()
    truth = dict(list(reports.read_coco_truth(job["eval_json"]).items())[:MOST_SAMPLES])
    found, widest = {"original": {}, "exported": {}}, 0.0
    for name in truth:
        inputs = inputs_of(Path(job["eval_dir"]) / name, config)
        with paddle.no_grad():
            original = network({key: paddle.to_tensor(value) for key, value in inputs.items()})
        # The repository calls the second output by what it is after suppression; here it holds the scores.
        original = [original["bbox"].numpy(), original["bbox_num"].numpy()]
        exported = session.run(None, {key: inputs[key] for key in names})
        apart = [float(np.abs(one - other).max()) for one, other in zip(original, exported, strict=True)]
        # A number that is none is as far apart as can be.
        widest = max(widest, *(value if np.isfinite(value) else APART for value in apart))
        found["original"][name] = objects_of(*original, nms, len(job["classes"]))
        found["exported"][name] = objects_of(*exported, nms, len(job["classes"]))
    save_file({key: value.numpy() for key, value in network.state_dict().items()}, folder / "model.safetensors")
    reports.write_json(
        folder / "export.json",
        {
            "engine": f"onnxruntime {onnxruntime.__version__}",
            "opset": OPSET,
            "inputs": [described(item) for item in session.get_inputs()],
            "outputs": [described(item) for item in session.get_outputs()],
            "preprocessing": json.loads(
                json.dumps({"transforms": config["TestReader"]["sample_transforms"]}, default=str)
            ),
            "parity": {
                "samples": len(truth),
                "max_abs_diff": widest,
                "metric": "val/mAP50",
                "metric_original": reports.average_precision(found["original"], truth),
                "metric_exported": reports.average_precision(found["exported"], truth),
            },
        },
    )


def described(item):
    """An input or output of an ONNX session."""
    shape = [side if isinstance(side, int) else str(side) for side in item.shape]
    return {"name": item.name, "shape": shape, "type": "float32"}


if __name__ == "__main__":
    main()
