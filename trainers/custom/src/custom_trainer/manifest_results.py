"""What comes of a job: checkpoints, samples for people, the exported model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .manifest_part import InnerPath, Part, Pattern, Template


class Checkpoints(Part):
    """Where the repository saves. Globs are templates; the newest file that fits is taken once it is stable.

    `best`: what evaluate, predict and export take, where it is another file. `beside`: suffixes of further files with
    the same stem (".pdopt"). `extra`: globs of what else resuming needs (option files, logs). Everything is put back at
    the place it came from, so all paths lie below `${output}`. `epoch`: a pattern with the group epoch, for the file's
    name. Pickles among them are only ever opened by the repository itself.
    """

    last: Annotated[list[Template], Field(min_length=1, max_length=10)]
    best: Annotated[list[Template], Field(max_length=10)] = []
    beside: list[Annotated[str, StringConstraints(pattern=r"^\.[A-Za-z0-9_.]{1,20}$")]] = []
    extra: Annotated[list[Template], Field(max_length=20)] = []
    epoch: Pattern | None = None
    epoch_base: Literal[0, 1] = 1
    # A file counts as whole when neither size nor time of change moved for this long.
    stable_s: Annotated[float, Field(ge=0, le=120)] = 1.0
    # What a resume of this repository brings back, in a sentence for people.
    equality: Annotated[str, StringConstraints(max_length=500)] = "as good as the repository's own resume"


class Samples(Part):
    """A few validation images with what the newest weights say about them, by the predict command; people look at them.

    `when`: end (once the training is over), checkpoint (besides, each time a checkpoint was taken: only where predict
    is quick and small, for it shares the machine with the training), never. It is ended after `limit_s`, and nothing
    but a line in the log comes of its failure.
    """

    when: Literal["never", "end", "checkpoint"] = "end"
    images: Annotated[int, Field(ge=1, le=4)] = 4
    limit_s: Annotated[float, Field(gt=0, le=600)] = 60
    # Between two of them while the training goes on.
    pause_s: Annotated[float, Field(ge=0, le=86_400)] = 60


class Export(Part):
    """What the export leaves in `${export}`, and how it is proven.

    `model`: the ONNX file. The command also writes `${export}/export.json` with the measured parity (outputs.py), and
    may leave preprocessing.json and model.safetensors. Above `tolerance` the job fails.
    """

    model: InnerPath = "model.onnx"
    tolerance: Annotated[float, Field(gt=0)] = 1e-3
