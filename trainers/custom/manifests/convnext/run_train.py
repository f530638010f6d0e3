"""Runs the repository's main.py: run_train.py <seed> <warm-up epochs or -> <epochs> <words of main.py…>.

main.py seeds torch and numpy, but not Python's own random, from which its augmentation draws. And its 20 epochs of
warm-up fail a training that is shorter; where the job does not name them, it is at most a fifth of the epochs.
"""

import random
import runpy
import sys
from pathlib import Path

import engine
from older_timm import take_pretrained_cfg


def main():
    """Hands over to main.py, which then is the main program."""
    seed, warmup, epochs = sys.argv[1:4]
    if warmup == "-":
        warmup = str(min(20, int(epochs) // 5))
    take_pretrained_cfg()
    random.seed(int(seed))
    script = Path(engine.__file__).with_name("main.py")
    sys.argv = [str(script), "--seed", seed, "--epochs", epochs, "--warmup_epochs", warmup, *sys.argv[4:]]
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
