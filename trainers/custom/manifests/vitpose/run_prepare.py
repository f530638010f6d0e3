"""run_prepare.py <train.json or -> <eval.json or -> <folder> <points.json> <names> <flips>: one category, its points.

The model is top-down: it is given boxes and knows no classes, and the repository evaluates a single category.
"""

import json
import sys
from pathlib import Path


def main():
    """Writes train.json and eval.json, and notes the key points where they are known."""
    folder = Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in (("train", sys.argv[1]), ("eval", sys.argv[2])):
        if path != "-":
            coco = json.loads(Path(path).read_text(encoding="utf-8"))
            for annotation in coco["annotations"]:
                annotation["class"], annotation["category_id"] = annotation["category_id"], 1
            first = coco["categories"][0]
            coco["categories"] = [{**first, "id": 1, "name": "object", "classes": coco["categories"]}]
            (folder / f"{name}.json").write_text(json.dumps(coco), encoding="utf-8")
    names, flips = json.loads(sys.argv[5]), json.loads(sys.argv[6])
    if names:
        Path(sys.argv[4]).write_text(json.dumps({"names": names, "flips": flips}), encoding="utf-8")


if __name__ == "__main__":
    main()
