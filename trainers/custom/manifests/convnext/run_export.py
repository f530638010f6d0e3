"""run_export.py <checkpoint> <image folder> <export folder>: ONNX (the repository has none), and both compared."""

import sys
from pathlib import Path

import onnx
import onnxruntime
import torch
import trained
from safetensors.torch import save_file
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

MOST_SAMPLES = 16
OPSET = 17


@torch.no_grad()
def main():
    """Exports, compares, writes."""
    checkpoint, images, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    model, options = trained.load(checkpoint)
    data = trained.dataset(options, images)
    indices = torch.linspace(0, len(data) - 1, min(MOST_SAMPLES, len(data))).long().tolist()
    pixels = torch.stack([data[index][0] for index in indices])
    truth = torch.tensor([data[index][1] for index in indices])
    path = folder / "model.onnx"
    torch.onnx.export(
        model,
        (pixels[:1],),
        str(path),
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.checker.check_model(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    exported = torch.as_tensor(session.run(["logits"], {"images": pixels.numpy()})[0])
    original = model(pixels)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors")
    size = options.input_size
    trained.write_json(
        folder / "export.json",
        {
            "engine": f"onnxruntime {onnxruntime.__version__}",
            "opset": OPSET,
            "inputs": [{"name": "images", "shape": ["batch", 3, size, size], "type": "float32"}],
            "outputs": [{"name": "logits", "shape": ["batch", exported.shape[1]], "type": "float32"}],
            "preprocessing": {
                "size": size,
                "mode": "RGB",
                "resize": "shorter side to size / crop share, bicubic, then centre crop" if size < 384 else "bicubic",
                "crop_share": options.crop_pct or 224 / 256,
                "scale": 1 / 255,
                "mean": list(IMAGENET_DEFAULT_MEAN),
                "std": list(IMAGENET_DEFAULT_STD),
            },
            "parity": {
                "samples": len(indices),
                "max_abs_diff": float((exported - original).abs().max()),
                "metric": "val/top1",
                "metric_original": float((original.argmax(1) == truth).float().mean()),
                "metric_exported": float((exported.argmax(1) == truth).float().mean()),
            },
        },
    )


if __name__ == "__main__":
    main()
