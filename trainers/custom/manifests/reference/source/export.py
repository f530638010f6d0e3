"""export.py <checkpoint> <image folder> <export folder>: ONNX, and what onnxruntime makes of it."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import softmax
from onnx import TensorProto, helper, numpy_helper

weights, _ = softmax.read(sys.argv[1])
images, labels, _ = softmax.load(sys.argv[2])
images, labels = images[:64], labels[:64]
folder = Path(sys.argv[3])
graph = helper.make_graph(
    [
        helper.make_node("MatMul", ["pixels", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ],
    "softmax",
    [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", images.shape[1]])],
    [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", weights["w"].shape[1]])],
    [numpy_helper.from_array(weights[name].astype(np.float32), name) for name in ("w", "b")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
onnx.checker.check_model(model)
onnx.save(model, folder / "model.onnx")
session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
[exported] = session.run(None, {"pixels": images})
original = softmax.scores(weights, images)
(folder / "export.json").write_text(
    json.dumps(
        {
            "engine": f"onnxruntime {onnxruntime.__version__}",
            "opset": 17,
            "inputs": [{"name": "pixels", "shape": ["batch", images.shape[1]], "type": "float32"}],
            "outputs": [{"name": "probabilities", "shape": ["batch", exported.shape[1]], "type": "float32"}],
            "preprocessing": {"size": softmax.SIDE, "mode": "grey", "scale": 1 / 255, "offset": -0.5},
            "parity": {
                "samples": len(images),
                "max_abs_diff": float(np.abs(exported - original).max()),
                "metric": "val/top1",
                "metric_original": float((original.argmax(axis=1) == labels).mean()),
                "metric_exported": float((exported.argmax(axis=1) == labels).mean()),
            },
        }
    )
)
