"""run_export.py <config.py> <checkpoint> <export folder>: the heat-map network as ONNX, and both compared."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pose
import torch
from mmpose.datasets import build_dataset
from safetensors.torch import save_file

MOST_SAMPLES = 16
OPSET = 17


def precise(heat, sample, annotation, sigmas):
    """OKS of the points where the heat is greatest, put back from the crop on the picture."""
    meta = sample["img_metas"].data
    height, width = heat.shape[1:]
    position = heat.reshape(len(heat), -1).argmax(1)
    share = np.stack([position % width / max(width - 1, 1), position // width / max(height - 1, 1)], 1)
    points = np.asarray(meta["center"]) + (share - 0.5) * np.asarray(meta["scale"]) * 200
    return pose.similarity(points, annotation, sigmas)


@torch.no_grad()
def main():
    """Exports, compares, writes."""
    config_path, checkpoint, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    model, config = pose.load(config_path, checkpoint)
    data = build_dataset(config.data.test, dict(test_mode=True))
    coco = json.loads(Path(config.data.test.ann_file).read_text())
    names = {image["file_name"]: image["id"] for image in coco["images"]}
    samples = [data[index] for index in range(min(MOST_SAMPLES, len(data)))]
    pixels = torch.stack([sample["img"] for sample in samples])
    path = folder / "model.onnx"
    model.forward = model.forward_dummy
    torch.onnx.export(
        model,
        (pixels[:1],),
        str(path),
        input_names=["images"],
        output_names=["heatmaps"],
        dynamic_axes={"images": {0: "batch"}, "heatmaps": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.checker.check_model(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    exported = session.run(["heatmaps"], {"images": pixels.numpy()})[0]
    original = model(pixels).numpy()
    sigmas = np.asarray(data.sigmas)
    figures = {"original": [], "exported": []}
    for index, sample in enumerate(samples):
        image = names[Path(sample["img_metas"].data["image_file"]).name]
        of_image = [item for item in coco["annotations"] if item["image_id"] == image and item.get("num_keypoints")]
        for name, heat in (("original", original), ("exported", exported)):
            figures[name].append(max((precise(heat[index], sample, item, sigmas) for item in of_image), default=1.0))
    save_file(
        {name: value.contiguous().clone() for name, value in model.state_dict().items()}, folder / "model.safetensors"
    )
    pose.write_json(
        folder / "export.json",
        {
            "engine": f"onnxruntime {onnxruntime.__version__}",
            "opset": OPSET,
            "inputs": [{"name": "images", "shape": ["batch", *pixels.shape[1:]], "type": "float32"}],
            "outputs": [{"name": "heatmaps", "shape": ["batch", *exported.shape[1:]], "type": "float32"}],
            "preprocessing": {
                "size": list(pixels.shape[2:]),
                "crop": "the object's box, 1.25 times as large, in the aspect of the input (mmpose's UDP transform)",
                "mode": "RGB",
                "scale": 1 / 255,
                "mean": [0.485, 0.456, 0.406],
                "std": [0.229, 0.224, 0.225],
                "output": "a heat map for each key point; its greatest value is where the point is",
            },
            "parity": {
                "samples": len(samples),
                "max_abs_diff": float(np.abs(exported - original).max()),
                "metric": "val/oks",
                "metric_original": float(np.mean(figures["original"])),
                "metric_exported": float(np.mean(figures["exported"])),
            },
        },
    )


if __name__ == "__main__":
    main()
