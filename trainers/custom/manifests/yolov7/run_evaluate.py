"""run_evaluate.py <weights> <data.yaml> <image size> <batch> <device> <report>: the repository's test.py."""

import sys
import tempfile
from argparse import Namespace
from pathlib import Path

import detection_report as reports
import numpy as np
import test as repository_test
import yaml
from PIL import Image

THRESHOLDS = np.linspace(0.5, 0.95, 10)


def read_images(folder):
    """(size, truth) of each image by its name."""
    labels = Path(folder.replace("/images/", "/labels/", 1))
    found = {}
    for path in sorted(Path(folder).iterdir()):
        with Image.open(path) as image:
            width, height = image.size
        found[path.name] = ((width, height), reports.read_yolo_file(labels / f"{path.stem}.txt", width, height))
    return found


def main():
    """Measures and writes the report."""
    weights, data, size, batch, device, report = sys.argv[1:]
    described = yaml.safe_load(Path(data).read_text())
    classes = described["names"]
    kept = {}
    original = repository_test.ap_per_class

    def ap_per_class(*stats, **options):
        kept["stats"], kept["result"] = stats, original(*stats, **options)
        return kept["result"]

    repository_test.ap_per_class = ap_per_class
    with tempfile.TemporaryDirectory() as folder:
        repository_test.opt = Namespace(
            device=device, project=folder, name="run", exist_ok=True, task="val", single_cls=False
        )
        # Training measures with twice the batch, and the batch decides how pictures are padded.
        (precision, recall, map50, map50_95, *_), per_class, _ = repository_test.test(
            described,
            [weights],
            int(batch) * 2,
            int(size),
            plots=False,
            save_txt=True,
            save_conf=True,
            half_precision=False,
        )
        images = read_images(described["val"])
        predictions = {
            name: reports.read_yolo_file(Path(folder, "run/labels", f"{Path(name).stem}.txt"), *image_size)
            for name, (image_size, _) in images.items()
        }
    truth = {name: objects for name, (_, objects) in images.items()}
    support = np.bincount([item["category"] for objects in truth.values() for item in objects], minlength=len(classes))
    ap50 = dict(zip(kept["result"][4].tolist(), kept["result"][2][:, 0].tolist(), strict=True)) if kept else {}
    reports.write_json(
        report,
        {
            "metrics": {
                "val/mAP50_95": float(map50_95),
                "val/mAP50": float(map50),
                "val/precision": float(precision),
                "val/recall": float(recall),
            },
            "samples": len(images),
            "per_class": [
                {
                    "category": index,
                    "support": int(support[index]),
                    "metrics": {"AP50_95": float(per_class[index]), "AP50": ap50.get(index)} if support[index] else {},
                }
                for index in range(len(classes))
            ],
            "pr_curves": curves(kept, classes, support),
            "worst": reports.worst_images(predictions, truth, classes),
        },
    )


def curves(kept, classes, support):
    """A precision-recall curve for each class that occurs."""
    if not kept:
        return None
    correct, score, category, _ = kept["stats"]
    return [
        reports.pr_curve(name, correct[category == index, 0], score[category == index], int(support[index]))
        for index, name in enumerate(classes)
        if support[index]
    ]


if __name__ == "__main__":
    main()
