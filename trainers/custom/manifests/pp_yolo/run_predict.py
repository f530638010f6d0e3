"""run_predict.py <job.json> <weights> <images> <list> <predictions>: the repository's tools/eval.py without a truth."""

import json
import sys
from pathlib import Path

import detection_report as reports
import run_tool
from detect import detect
from PIL import Image


def main():
    """Detects and writes a line an image."""
    path, weights, folder, listing, predictions = sys.argv[1:]
    job = run_tool.read_job(path)
    images = []
    for number, entry in enumerate(json.loads(Path(listing).read_text())):
        with Image.open(Path(folder) / entry["file"]) as image:
            images.append({"id": number, "file_name": entry["file"], "width": image.width, "height": image.height})
    categories = [{"id": index, "name": name} for index, name in enumerate(job["classes"])]
    annotations = Path(job["output"]) / "to-predict.json"
    reports.write_json(annotations, {"images": images, "annotations": [], "categories": categories})
    found, _ = detect({**job, "eval_dir": folder, "eval_json": str(annotations)}, weights, only=True)
    reports.write_predictions(predictions, found)


if __name__ == "__main__":
    main()
