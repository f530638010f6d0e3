"""run_evaluate.py <job.json> <weights> <report>: the repository's tools/eval.py, and COCO's figures class by class."""

import sys

import detection_report as reports
import numpy as np
import run_tool
from detect import detect
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def measure(annotations, results):
    """COCO's evaluation, as the repository calls it; None where nothing was found."""
    if not results:
        return None
    truth = COCO(annotations)
    measured = COCOeval(truth, truth.loadRes(results), "bbox")
    measured.evaluate()
    measured.accumulate()
    measured.summarize()
    return measured


def mean(values):
    """The mean of COCO's figures; -1 in them means there was nothing to measure."""
    values = values[values > -1]
    return float(values.mean()) if values.size else None


def main():
    """Measures and writes the report."""
    path, weights, report = sys.argv[1:]
    job = run_tool.read_job(path)
    classes = job["classes"]
    predictions, results = detect(job, weights, only=False)
    truth = reports.read_coco_truth(job["eval_json"])
    measured = measure(job["eval_json"], results)
    support = [
        sum(item["category"] == index for objects in truth.values() for item in objects)
        for index in range(len(classes))
    ]
    # Precision by IoU, recall, class, area, most detections.
    precision = measured.eval["precision"][:, :, :, 0, -1] if measured else None
    position = {category: number for number, category in enumerate(measured.params.catIds)} if measured else {}
    per_class, curves = [], []
    for index, name in enumerate(classes):
        figures = {"AP50_95": 0.0, "AP50": 0.0} if support[index] else {}
        if measured and support[index]:
            table = precision[:, :, position[index]]
            figures = {"AP50_95": mean(table), "AP50": mean(table[0])}
            curves.append(
                {
                    "name": name,
                    "threshold": 0.5,
                    "recall": [round(float(value), 2) for value in np.linspace(0, 1, table.shape[1])],
                    "precision": [max(0.0, float(value)) for value in table[0]],
                }
            )
        per_class.append({"category": index, "support": support[index], "metrics": figures})
    figures = measured.stats if measured else np.zeros(12)
    reports.write_json(
        report,
        {
            "metrics": {
                "val/mAP50_95": max(0.0, float(figures[0])),
                "val/mAP50": max(0.0, float(figures[1])),
                "val/mAP75": max(0.0, float(figures[2])),
                "val/recall": max(0.0, float(figures[8])),
            },
            "samples": len(truth),
            "per_class": per_class,
            "pr_curves": curves or None,
            "worst": reports.worst_images(predictions, truth, classes),
        },
    )


if __name__ == "__main__":
    main()
