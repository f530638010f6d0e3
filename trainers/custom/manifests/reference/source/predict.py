"""predict.py <checkpoint> <folder> <list> <predictions>: one JSON line a picture."""

import json
import sys
from pathlib import Path

import softmax

weights, _ = softmax.read(sys.argv[1])
with open(sys.argv[3]) as file:
    listed = json.load(file)
with open(sys.argv[4], "w") as file:
    for entry in listed:
        row = softmax.scores(weights, softmax.pixels(Path(sys.argv[2]) / entry["file"])[None])[0]
        labels = [{"category": int(index), "score": float(row[index])} for index in row.argsort()[::-1][:5]]
        file.write(json.dumps({"image": entry["file"], "labels": labels}) + "\n")
