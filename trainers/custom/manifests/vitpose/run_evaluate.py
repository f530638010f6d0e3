"""run_evaluate.py <config.py> <checkpoint> <device> <report>: the repository's evaluation on the objects' own boxes."""

import json
import sys
from pathlib import Path

import numpy as np
import pose

WORST_SHOWN = 16


def main():
    """Measures and writes the report."""
    config_path, checkpoint, device, report = sys.argv[1:]
    model, config = pose.load(config_path, checkpoint, device)
    figures, results, data = pose.find(model, config, device)
    coco = json.loads(Path(config.data.test.ann_file).read_text())
    sigmas = np.asarray(data.sigmas)
    by_image = {}
    for result in results:
        by_image.setdefault(result["image_id"], []).append(result)
    scored = {image["id"]: [] for image in coco["images"]}
    by_class = {}
    for annotation in coco["annotations"]:
        if annotation["iscrowd"] or not annotation.get("num_keypoints"):
            continue
        found = [np.asarray(item["keypoints"]).reshape(-1, 3) for item in by_image.get(annotation["image_id"], [])]
        best = max((pose.similarity(points, annotation, sigmas) for points in found), default=0.0)
        scored[annotation["image_id"]].append(best)
        by_class.setdefault(annotation["class"], []).append(best)
    images = {image["id"]: image for image in coco["images"]}
    ranked = sorted((float(np.mean(values)), image) for image, values in scored.items() if values)
    classes = coco["categories"][0]["classes"]
    pose.write_json(
        report,
        {
            "metrics": {
                "val/mAP50_95_pose": max(0.0, float(figures["AP"])),
                "val/mAP50_pose": max(0.0, float(figures["AP .5"])),
                "val/mAP75_pose": max(0.0, float(figures["AP .75"])),
                "val/recall_pose": max(0.0, float(figures["AR"])),
                "val/oks": float(np.mean([value for values in by_class.values() for value in values])),
            },
            "samples": len(images),
            "per_class": [
                {
                    "category": index,
                    "support": len(by_class.get(index, [])),
                    "metrics": {"oks": float(np.mean(by_class[index]))} if index in by_class else {},
                }
                for index in range(len(classes))
            ],
            "worst": [
                {
                    "image": images[image]["file_name"],
                    "score": score,
                    "truth": f"{len(scored[image])} objects",
                    "objects": [pose.object_of(item, 0) for item in by_image.get(image, [])],
                }
                for score, image in ranked[:WORST_SHOWN]
            ],
        },
    )


if __name__ == "__main__":
    main()
