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
# A difference that no tolerance lets pass: one model found something that the other did not.
APART = 1e6


def export_network(job, weights, folder):
    """Runs the repository's tool. Returns (its network, its configuration, the folder of the static model)."""
    from ppdet.engine import Trainer

    kept = {}
    original = Trainer.export

    def export(trainer, *args, **options):
        kept["network"], kept["config"] = trainer.model, trainer.cfg
        return original(trainer, *args, **options)

    Trainer.export = export
    run_tool.run(job, "tools/export_model.py", ["--output_dir", folder, "-o", f"weights={weights}"])
    return kept["network"], kept["config"], Path(folder) / job["architecture"]


def inputs_of(path, config):
    """A picture as the repository's own transforms prepare it."""
    from ppdet.data.reader import Compose

    sample = {"im_id": np.array([0]), "im_file": str(path), "curr_iter": 0}
    sample = Compose(config["TestReader"]["sample_transforms"], num_classes=config["num_classes"])(sample)
    return {name: np.asarray(sample[name], np.float32)[None] for name in ("image", "im_shape", "scale_factor")}


def apart(first, second):
    """The largest difference between two lists of detections (class, score, corners), each beside its nearest one."""
    if len(first) != len(second):
        return APART
    widest = 0.0
    for row in first:
        same = second[second[:, 0] == row[0]]
        if not len(same):
            return APART
        widest = max(widest, float(np.abs(same - row).max(axis=1).min()))
    return widest


def objects_of(rows):
    """Detections of one picture."""
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
        network, config, static = export_network(job, weights, work)
        model = next(item for item in (static / "model.json", static / "model.pdmodel") if item.exists())
        paddle2onnx.export(str(model), str(static / "model.pdiparams"), str(folder / "model.onnx"), opset_version=OPSET)
    onnx.checker.check_model(str(folder / "model.onnx"))
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    network.eval()
    truth = dict(list(reports.read_coco_truth(job["eval_json"]).items())[:MOST_SAMPLES])
    found, widest = {"original": {}, "exported": {}}, 0.0
    for name in truth:
        inputs = inputs_of(Path(job["eval_dir"]) / name, config)
        with paddle.no_grad():
            original = network({key: paddle.to_tensor(value) for key, value in inputs.items()})["bbox"].numpy()
        exported = session.run(None, {key: inputs[key] for key in names})[0]
        original, exported = original[original[:, 0] >= 0], exported[exported[:, 0] >= 0]
        widest = max(widest, apart(original, exported), apart(exported, original))
        found["original"][name], found["exported"][name] = objects_of(original), objects_of(exported)
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
    return {"name": item.name, "shape": shape, "type": item.type.removeprefix("tensor(").removesuffix(")")}


if __name__ == "__main__":
    main()
