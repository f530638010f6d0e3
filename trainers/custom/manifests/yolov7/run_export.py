"""run_export.py <weights> <data.yaml> <image size> <export folder>: its export.py, then both models compared."""

import runpy
import shutil
import sys
from pathlib import Path

import detection_report as reports
import numpy as np
import onnx
import onnxruntime
import torch
import yaml
from models.experimental import attempt_load
from PIL import Image
from run_evaluate import read_images
from safetensors.torch import save_file
from utils import general
from utils.datasets import letterbox

MOST_SAMPLES = 16


def pixels(path, size):
    """A picture as detect.py prepares it, on the square that the exported model takes."""
    with Image.open(path) as image:
        array, ratio, padding = letterbox(np.asarray(image.convert("RGB")), size, auto=False)
    return np.ascontiguousarray(array.transpose(2, 0, 1)[None], np.float32) / 255, ratio, padding


def objects_of(output, ratio, padding):
    """What is left of the raw output after the repository's non-maximum suppression, on the original picture."""
    [found] = general.non_max_suppression(torch.as_tensor(output), 0.001, 0.6)
    boxes = (found[:, :4].numpy() - np.asarray([*padding, *padding])) / np.asarray([*ratio, *ratio])
    return [
        {"category": int(row[5]), "score": float(row[4]), "box": [*box[:2], *(box[2:] - box[:2])]}
        for row, box in zip(found.numpy(), boxes, strict=True)
    ]


def main():
    """Exports, compares, writes."""
    weights, data, size, folder = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    work = folder / "model.pt"
    shutil.copyfile(weights, work)
    model = attempt_load(str(work), map_location="cpu")
    size = general.check_img_size(size, int(max(model.stride)))
    script = Path(general.__file__).parents[1] / "export.py"
    sys.argv = [str(script), "--weights", str(work), "--grid", "--img-size", str(size), str(size)]
    runpy.run_path(str(script), run_name="__main__")
    onnx.checker.check_model(str(folder / "model.onnx"))
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    described = yaml.safe_load(Path(data).read_text())
    images = dict(list(read_images(described["val"]).items())[:MOST_SAMPLES])
    found, widest = {"original": {}, "exported": {}}, 0.0
    for name in images:
        array, ratio, padding = pixels(Path(described["val"]) / name, size)
        with torch.no_grad():
            original = model(torch.as_tensor(array))[0].numpy()
        exported = session.run(["output"], {"images": array})[0]
        widest = max(widest, float(np.abs(original - exported).max()))
        found["original"][name] = objects_of(original, ratio, padding)
        found["exported"][name] = objects_of(exported, ratio, padding)
    truth = {name: objects for name, (_, objects) in images.items()}
    save_file(
        {key: value.contiguous().clone() for key, value in model.state_dict().items()}, folder / "model.safetensors"
    )
    for path in folder.glob("model.*"):
        if path.suffix not in (".onnx", ".safetensors"):
            path.unlink()
    reports.write_json(
        folder / "export.json",
        {
            "engine": f"onnxruntime {onnxruntime.__version__}",
            "opset": onnx.load(folder / "model.onnx", load_external_data=False).opset_import[0].version,
            "inputs": [{"name": "images", "shape": [1, 3, size, size], "type": "float32"}],
            "outputs": [{"name": "output", "shape": list(exported.shape), "type": "float32"}],
            "preprocessing": {
                "size": size,
                "mode": "RGB",
                "scale": 1 / 255,
                "resize": "letterbox, fill 114",
                "output": "rows of centre x, centre y, width, height (pixels of the square), objectness, class scores",
            },
            "parity": {
                "samples": len(images),
                "max_abs_diff": widest,
                "metric": "val/mAP50",
                "metric_original": reports.average_precision(found["original"], truth),
                "metric_exported": reports.average_precision(found["exported"], truth),
            },
        },
    )


if __name__ == "__main__":
    main()
