"""Runs the repository's train.py: run_train.py <seed> <shortest warm-up> <resume options or -> <words of train.py…>.

train.py takes no seed and insists on 1,000 steps of warm-up, in which a small data set never gets beyond; both are
given here from outside. A resume re-reads opt.yaml, where the folders of the earlier attempt stand: they are put right.
Of several processes torchrun tells each its number in a variable, and train.py wants it as a word.
"""

import json
import os
import runpy
import sys
from pathlib import Path

import yaml
from utils import general

source = Path(general.__file__).parents[1]


def put_options_right(checkpoint, options):
    """Writes the folders of this attempt into the opt.yaml that belongs to a checkpoint."""
    path = Path(checkpoint).parent.parent / "opt.yaml"
    content = yaml.safe_load(path.read_text())
    # Several processes do this at once, and none may read half a file.
    partial = path.with_name(f"opt-{os.getpid()}.yaml")
    partial.write_text(yaml.safe_dump({**content, **options}, sort_keys=False))
    partial.replace(path)


def main():
    """Hands over to train.py, which then is the main program."""
    seed, shortest, options = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    words = sys.argv[4:]
    if options != "-":
        put_options_right(words[words.index("--resume") + 1], json.loads(options))
    set_seeds = general.init_seeds
    # train.py asks for 2 + rank.
    general.init_seeds = lambda wanted=0: set_seeds(seed + wanted - 2)

    def longer(*values):
        return max(values[0], shortest) if len(values) == 2 and values[1] == 1000 else max(*values)

    if "LOCAL_RANK" in os.environ:
        words += ["--local_rank", os.environ["LOCAL_RANK"]]
    sys.argv = [str(source / "train.py"), *words]
    runpy.run_path(sys.argv[0], init_globals={"max": longer}, run_name="__main__")


if __name__ == "__main__":
    main()
