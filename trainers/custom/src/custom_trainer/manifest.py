"""vision-trainer.yaml: everything the platform must know to train somebody's repository.

The root is `Manifest`; its parts are below it in the order in which a job uses them. Unknown keys are refused. Texts
marked "template" may hold `${name}` (see templates.py for the names); `$$` is a dollar sign. There is no shell
anywhere: a command is a list of words, and each word stays one word whatever is put into it.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from vision_trainer.failures import FailureCode

from . import patterns
from .parameters import Parameter

TaskName = Literal[
    "image_classification",
    "object_detection",
    "instance_segmentation",
    "semantic_segmentation",
    "pose_estimation",
    "image_captioning",
]
DatasetFormat = Literal["image_folder", "yolo", "coco", "coco_pose", "huggingface"]
JobCommand = Literal["prepare", "train", "resume", "evaluate", "predict", "export"]


def _pattern(text: str) -> str:
    """A regular expression of the RE2 language: no look-around, no back references, linear time."""
    try:
        patterns.compiled(text)
    except patterns.PatternError as error:
        raise ValueError(f"is no RE2 expression: {error}") from error
    return text


def _inside(text: str) -> str:
    """A relative path that stays where it is."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\0" in text:
        raise ValueError("must be a relative path without '..'")
    return text


Pattern = Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(_pattern)]
InnerPath = Annotated[str, StringConstraints(min_length=1, max_length=400), AfterValidator(_inside)]
Template = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
MetricName = Annotated[str, StringConstraints(pattern=r"^(train|val|test|perf)/[A-Za-z0-9_]{1,60}$")]


class Part(BaseModel):
    """Refuses keys it does not know, so that a misspelt one is an error and not a silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class License(Part):
    """Whose code this is. `acknowledge`: the job must say `accept_license: true` in its config."""

    spdx: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    acknowledge: bool = False
    notice: Annotated[str, StringConstraints(max_length=1000)] = ""


class Source(Part):
    """Which code runs. The commit is checked after the checkout; a branch or tag is never followed.

    `git`: an https:// address, or `s3://<the platform's bucket>/repositories/<name>.bundle` (`git bundle create`). Left
    out, together with `commit`, in a manifest that lies in the repository itself: the job then names both.
    """

    # Only for manifests that come with this trainer: the code lies beside the manifest, and its hash is its commit.
    folder: InnerPath | None = None
    git: Annotated[str, StringConstraints(max_length=500)] | None = None
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = None
    submodules: bool = False
    lfs: bool = False
    max_mb: Annotated[int, Field(ge=1, le=20_000)] = 2000
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 600


class Environment(Part):
    """The Python that runs the repository. Built once per (lock, python, install) and shared by later jobs.

    Left out altogether: the custom trainer's own Python with numpy and Pillow, nothing is installed.
    """

    # "3.11" and so on: found on the machine, or fetched by uv where the job has the network.
    python: Annotated[str, StringConstraints(pattern=r"^3\.\d{1,2}(\.\d{1,2})?$")] = "3.11"
    # The lock (every package with ==, as `uv pip compile` writes it), beside the manifest.
    requirements: InnerPath
    # Run after the lock is in, with the environment's bin folder on PATH, in the repository: only here is the network.
    install: Annotated[list[list[Template]], Field(max_length=20)] = []
    # Put first on PYTHONPATH (a sitecustomize.py in it is imported by every Python that starts). Beside the manifest.
    shims: InnerPath | None = None
    timeout_s: Annotated[float, Field(gt=0, le=7200)] = 1800


class Task(Part):
    """A task the repository trains, and the metric that decides which checkpoint is best."""

    primary_metric: MetricName
    direction: Literal["max", "min"] = "max"
    # Where this task's data format is not the manifest's own.
    format: DatasetFormat | None = None


class Dataset(Part):
    """How the data is laid out for the repository, in `${data}` (a folder of the job).

    image_folder: `<split>/<class index, 4 digits>/<id>.<ext>`; yolo: `images/ labels/ data.yaml`; coco, coco_pose:
    `images/<split>/` and `annotations/<split>.json`; huggingface: `<split>/metadata.jsonl` beside the images (all
    tasks, masks in `<split>/masks/`). `links`: further names that the repository insists on, as symbolic links ({link:
    target}, both templates; the link lies below `${data}`, `${source}` or `${output}`).
    """

    format: DatasetFormat
    links: Annotated[dict[Template, Template], Field(max_length=20)] = {}


class ConfigFile(Part):
    """A file made from a template before the command runs. `${name:json}` puts a value in as JSON, which YAML reads
    too.

    `template` lies beside the manifest; `to` (template) is where it goes: below `${job}`, `${output}` or `${source}`.
    """

    template: InnerPath
    to: Template


class When(Part):
    """Words of a command that are there only if the variable has a value that is not empty, 0 or false.

    `equals`: only if the variable's text is this one. `unless`: turn the condition round.
    """

    when: Annotated[str, StringConstraints(max_length=80)]
    equals: str | None = None
    unless: bool = False
    args: list[Template]


class Command(Part):
    """A program and its words. The word `${params}` alone stands for the words of all parameters with `maps_to`.

    `python` as the first word is the environment's. A plain list is short for `argv`.
    """

    argv: Annotated[list[Template | When], Field(min_length=1, max_length=400)]
    cwd: Template = "${source}"
    env: dict[VariableName, str] = {}


CommandInput = Command | Annotated[list[Template | When], Field(min_length=1, max_length=400)]


class Commands(Part):
    """What runs for each kind of job. `prepare` runs before every other one; its failure is the job's.

    `resume` may be left out if the repository cannot resume: a resumed job then starts anew, and says so.
    evaluate writes `${report}`, predict writes `${predictions}`, export writes `${export}/model.onnx` (see outputs.py).
    """

    prepare: CommandInput | None = None
    train: CommandInput
    resume: CommandInput | None = None
    evaluate: CommandInput | None = None
    predict: CommandInput | None = None
    export: CommandInput | None = None

    def named(self, name: JobCommand) -> Command | None:
        """The command in its long form, or None where the manifest has none."""
        found: Command | list[str | When] | None = getattr(self, name)
        return Command(argv=found) if isinstance(found, list) else found


class Metric(Part):
    """What a figure of the source is called in the contract: value * scale + offset."""

    name: MetricName
    scale: float = 1.0
    offset: float = 0.0


class Progress(Part):
    """One place where the repository says how far it is. A line that does not fit is passed over.

    from: stdout, stderr or output (both), or file with `path` (template, `*` allowed; files that appear later are
    found). format: json_lines (one object a line; a field `a.b` looks into objects), csv (a header, or `columns`),
    regex (`pattern` with named groups), tensorboard (event files below `path`; a metric's key is the tag; the event's
    step is the epoch or the step, by `kind`).
    """

    source: Annotated[Literal["stdout", "stderr", "output", "file"], Field(alias="from")]
    path: Template | None = None
    format: Literal["json_lines", "csv", "regex", "tensorboard"]
    pattern: Pattern | None = None
    # csv without a header; delimiter None: any white space.
    columns: list[str] | None = None
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] | None = ","
    # A line speaks of a step or closes an epoch.
    kind: Literal["step", "epoch"]
    # Only lines in which these fields have these texts: {"mode": "val"}.
    where: dict[str, str] = {}
    # The names of the fields or groups that tell the position; a value such as "3/10" tells both at once.
    epoch: str = "epoch"
    epochs: str = "epochs"
    step: str = "step"
    steps: str = "steps"
    # 0: the repository calls its first epoch 0. Steps count from 0 likewise where step_base is 0.
    epoch_base: Literal[0, 1] = 1
    step_base: Literal[0, 1] = 1
    # The split that the metrics belong to where their names do not tell (perf/…).
    split: Literal["train", "val", "test"] = "train"
    # Field or group or tag → contract name.
    metrics: dict[str, Metric | MetricName] = {}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.source == "file" or self.format == "tensorboard") != (self.path is not None):
            raise ValueError("`path` belongs to `from: file`, and only to it")
        if self.format == "tensorboard" and self.source != "file":
            raise ValueError("TensorBoard events are read `from: file`")
        if (self.format == "regex") != (self.pattern is not None):
            raise ValueError("`pattern` belongs to `format: regex`, and only to it")
        return self

    def contract_metrics(self) -> dict[str, Metric]:
        """Field → metric in the long form."""
        return {key: Metric(name=item) if isinstance(item, str) else item for key, item in self.metrics.items()}


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


class Complete(Part):
    """What must be true besides exit code 0: a file that exists, a line that was printed."""

    file: Template | None = None
    pattern: Pattern | None = None


class ErrorRule(Part):
    """A line that tells why it failed; the last one that fits decides. Without one a failure is FRAMEWORK_ERROR.

    `stop`: end the repository as soon as the line appears, and fail.
    """

    pattern: Pattern
    code: FailureCode
    message: Annotated[str, StringConstraints(max_length=500)] = ""
    stop: bool = False


class Signals(Part):
    """How the repository is asked to stop. After `grace_s` (or the job's own grace, if shorter) it is killed.

    `checkpoint`: the signal that makes it save now, where there is one (SIGUSR1 of the job is passed on as this).
    """

    stop: Literal["SIGTERM", "SIGINT", "SIGKILL"] = "SIGTERM"
    grace_s: Annotated[float, Field(ge=0, le=600)] = 10.0
    checkpoint: Literal["SIGUSR1", "SIGUSR2", "SIGHUP"] | None = None


class Limits(Part):
    """`silence_s`: no output and no growing log for so long means it hangs. `progress_s`: when to warn of no progress.

    `prepare_s`, `derived_s`: how long prepare, and evaluate, predict or export, may take.
    """

    silence_s: Annotated[float, Field(gt=0, le=86_400)] = 1800
    progress_s: Annotated[float, Field(gt=0, le=86_400)] = 180
    prepare_s: Annotated[float, Field(gt=0, le=86_400)] = 3600
    derived_s: Annotated[float, Field(gt=0, le=86_400)] = 7200


class Resources(Part):
    """What the repository needs of the machine. `cpu`: whether it trains without a GPU at all.

    `network`: whether its commands need the network; they get it only if the job allows it (ALLOW_NETWORK) besides.
    """

    cpu: bool = True
    # Whether train and resume start ${num_processes} processes that train together, and where.
    processes: Literal["one", "on_gpus", "anywhere"] = "one"
    network: bool = False
    min_gpu_mb: Annotated[int, Field(ge=0)] = 0
    memory_mb: Annotated[int, Field(ge=1)] = 2048


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


class Figure(Part):
    """A published figure, and where it was read."""

    value: float
    unit: Annotated[str, StringConstraints(max_length=60)]
    on: Annotated[str, StringConstraints(max_length=200)]
    source: Annotated[str, StringConstraints(max_length=300)]


class Weights(Part):
    """Weights that somebody trained before: `weights/custom/<name>` in the platform's storage holds `file`."""

    license: str
    source: Annotated[str, StringConstraints(max_length=300)]
    file: Annotated[str, StringConstraints(max_length=200)]


class Recommended(Part):
    """A good start."""

    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]


class Catalogue(Part):
    """How the model is shown to people; only ready manifests need it."""

    title: str
    params_m: Annotated[float, Field(ge=0)]
    input_size: Annotated[int, Field(ge=1)]
    tags: list[str] = []
    weights: Weights | None = None
    accuracy: Figure | None = None
    recommended: Recommended | None = None
    memory_mb: Annotated[int, Field(ge=1)] | None = None
    notes: str | None = None


class Manifest(Part):
    """One repository, or one model of it."""

    manifest: Literal[1]
    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,60}$")]
    version: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    license: License
    source: Source = Source()
    environment: Environment | None = None
    tasks: Annotated[dict[TaskName, Task], Field(min_length=1)]
    dataset: Dataset
    parameters: Annotated[dict[VariableName, Parameter], Field(max_length=100)] = {}
    files: Annotated[list[ConfigFile], Field(max_length=20)] = []
    commands: Commands
    # Variables of every command's environment (templates); it is otherwise built from nothing.
    env: Annotated[dict[VariableName, str], Field(max_length=60)] = {}
    progress: Annotated[list[Progress], Field(max_length=20)] = []
    checkpoints: Checkpoints
    complete: Complete = Complete()
    errors: Annotated[list[ErrorRule], Field(max_length=50)] = []
    signals: Signals = Signals()
    limits: Limits = Limits()
    resources: Resources = Resources()
    samples: Samples = Samples()
    export: Export = Export()
    catalogue: Catalogue | None = None

    def format_of(self, task: str) -> DatasetFormat:
        """The data format of a task."""
        found = next((item for name, item in self.tasks.items() if name == task), None)
        return found.format if found is not None and found.format is not None else self.dataset.format
