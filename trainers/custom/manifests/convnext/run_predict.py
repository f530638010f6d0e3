"""run_predict.py <checkpoint> <images> <list> <device> <predictions>: the five likeliest classes of each image."""

import json
import sys
from pathlib import Path

import datasets
import torch
import trained
from PIL import Image


@torch.no_grad()
def main():
    """Classifies and writes a line an image."""
    checkpoint, folder, listing, device, predictions = sys.argv[1:]
    model, options = trained.load(checkpoint, device)
    transform = datasets.build_transform(False, options)
    with open(predictions, "w", encoding="utf-8") as file:
        for entry in json.loads(Path(listing).read_text()):
            with Image.open(Path(folder) / entry["file"]) as image:
                pixels = transform(image.convert("RGB"))[None].to(device)
            file.write(json.dumps({"image": entry["file"], "labels": trained.labels(model(pixels)[0].cpu())}) + "\n")


if __name__ == "__main__":
    main()
