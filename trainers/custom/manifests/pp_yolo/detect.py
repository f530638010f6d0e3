"""The repository's tools/eval.py over a COCO file: what the model finds in each image."""

import json
import tempfile
from pathlib import Path

import run_tool


def detect(job, weights, *, only):
    """(objects by file name, the COCO results as the tool wrote them). `only`: the file has no truth to evaluate."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["--output_eval", folder, *(["--save_prediction_only"] if only else []), "-o", f"weights={weights}"]
        run_tool.run(job, "tools/eval.py", words)
        path = Path(folder, "bbox.json")
        # Without a single detection the tool writes nothing.
        results = json.loads(path.read_text()) if path.exists() else []
    names = {image["id"]: image["file_name"] for image in json.loads(Path(job["eval_json"]).read_text())["images"]}
    found = {name: [] for name in names.values()}
    for item in results:
        entry = {"category": item["category_id"], "score": item["score"], "box": item["bbox"]}
        found[names[item["image_id"]]].append(entry)
    return found, results
