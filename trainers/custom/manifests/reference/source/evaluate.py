"""evaluate.py <checkpoint> <image folder> <report>: writes the platform's report."""

import json
import sys

import numpy as np
import softmax

weights, _ = softmax.read(sys.argv[1])
images, labels, names = softmax.load(sys.argv[2])
probabilities = softmax.scores(weights, images)
found = probabilities.argmax(axis=1)
classes = probabilities.shape[1]
matrix = np.zeros((classes, classes), int)
np.add.at(matrix, (labels, found), 1)
sure = probabilities[np.arange(len(labels)), labels]
report = {
    "metrics": {"val/top1": float((found == labels).mean()), "val/loss": float(-np.log(sure + 1e-9).mean())},
    "samples": len(labels),
    "per_class": [
        {
            "category": index,
            "support": int((labels == index).sum()),
            "metrics": {"recall": float(matrix[index, index] / row.sum()) if row.sum() else None},
        }
        for index, row in enumerate(matrix)
    ],
    "confusion_matrix": matrix.tolist(),
    "worst": [
        {
            "image": names[index],
            "score": float(sure[index]),
            "truth": str(labels[index]),
            "labels": [{"category": int(found[index]), "score": float(probabilities[index].max())}],
        }
        for index in sure.argsort()[:4]
    ],
}
with open(sys.argv[3], "w") as file:
    json.dump(report, file)
