"""run_predict.py <weights> <images> <list> <image size> <device> <predictions>: the repository's detect.py."""

import json
import runpy
import sys
import tempfile
from pathlib import Path

import detection_report as reports
from PIL import Image
from utils import general


def main():
    """Detects and writes a line an image."""
    weights, images, listing, size, device, predictions = sys.argv[1:]
    script = Path(general.__file__).parents[1] / "detect.py"
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = [str(script), "--weights", weights, "--source", images, "--img-size", size, "--device", device]
        sys.argv += ["--conf-thres", str(reports.SHOWN_SCORE), "--save-txt", "--save-conf", "--nosave", "--no-trace"]
        sys.argv += ["--project", folder, "--name", "run", "--exist-ok"]
        runpy.run_path(str(script), run_name="__main__")
        found = {}
        for entry in json.loads(Path(listing).read_text()):
            with Image.open(Path(images) / entry["file"]) as image:
                width, height = image.size
            label = Path(folder, "run/labels", f"{Path(entry['file']).stem}.txt")
            found[entry["file"]] = reports.read_yolo_file(label, width, height)
    reports.write_predictions(predictions, found)


if __name__ == "__main__":
    main()
