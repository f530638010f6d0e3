"""run_predict.py <config.py> <checkpoint> <images> <list> <device> <predictions>: the pose in each image.

The model has no detector: an image counts as one object that fills it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pose
from mmpose.apis import inference_top_down_pose_model
from mmpose.datasets import DatasetInfo
from PIL import Image


def main():
    """Finds key points and writes a line an image."""
    config_path, checkpoint, folder, listing, device, predictions = sys.argv[1:]
    model, config = pose.load(config_path, checkpoint, device)
    # What the repository asks for is on top of its own configurations, where the sizes of before stand.
    config.data_cfg = config.data.test.data_cfg
    model.cfg = config
    info = DatasetInfo(config.data.test.dataset_info)
    with open(predictions, "w", encoding="utf-8") as file:
        for entry in json.loads(Path(listing).read_text()):
            path = Path(folder) / entry["file"]
            with Image.open(path) as image:
                box = [0.0, 0.0, float(image.width), float(image.height)]
            found, _ = inference_top_down_pose_model(
                model,
                str(path),
                [{"bbox": np.asarray(box)}],
                format="xywh",
                dataset=config.data.test.type,
                dataset_info=info,
            )
            objects = [
                {
                    "category": 0,
                    "score": min(1.0, max(0.0, float(item["keypoints"][:, 2].mean()))),
                    "box": box,
                    "keypoints": [[float(x), float(y), min(1.0, max(0.0, float(s)))] for x, y, s in item["keypoints"]],
                }
                for item in found
            ]
            file.write(json.dumps({"image": entry["file"], "objects": objects}) + "\n")


if __name__ == "__main__":
    main()
