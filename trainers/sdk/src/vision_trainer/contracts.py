"""Generated from shared-contracts/src; do not edit. `./vp fix` writes it anew."""

from __future__ import annotations

from typing import Annotated, Any, Dict, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints
from typing_extensions import TypeAliasType


class Contract(RootModel[Any]):
    root: Annotated[
        Any,
        Field(
            description="Vision Platform trainer contract, version 1. Generated from shared-contracts/src; do not edit.",
            title="Contract",
        ),
    ]


class StartedData(BaseModel):
    versions: dict[str, str]
    device: str
    world_size: Annotated[int, Field(ge=1, le=9007199254740991)]
    effective_batch_size: Annotated[int, Field(ge=0, le=9007199254740991)]


class PhaseData(BaseModel):
    name: Literal[
        "preparing",
        "downloading",
        "training",
        "evaluating",
        "exporting",
        "uploading",
        "cancelling",
    ]
    pct: Annotated[float | None, Field(ge=0.0, le=100.0)] = None
    detail: Annotated[str | None, Field(max_length=500)] = None


class ProgressData(BaseModel):
    epoch: Annotated[int, Field(ge=0, le=9007199254740991)]
    epochs: Annotated[int, Field(ge=0, le=9007199254740991)]
    step: Annotated[int, Field(ge=0, le=9007199254740991)]
    steps: Annotated[int, Field(ge=0, le=9007199254740991)]
    pct: Annotated[float, Field(ge=0.0, le=100.0)]
    eta_s: Annotated[float | None, Field(ge=0.0)]
    samples_per_s: Annotated[float | None, Field(ge=0.0)]


class MetricsData(BaseModel):
    scope: Literal["step", "epoch"]
    split: Literal["train", "val", "test"]
    epoch: Annotated[int, Field(ge=0, le=9007199254740991)]
    step: Annotated[int, Field(ge=0, le=9007199254740991)]
    values: dict[Annotated[str, StringConstraints(max_length=120)], float | None]


class LogData(BaseModel):
    level: Literal["debug", "info", "warning", "error"]
    message: Annotated[str, Field(max_length=8000)]
    offset: Annotated[int | None, Field(ge=0, le=9007199254740991)] = None


class CheckpointData(BaseModel):
    kind: Literal["last", "best", "periodic"]
    uri: Annotated[str, Field(pattern="^s3:\\/\\/")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0, le=9007199254740991)]
    epoch: Annotated[int, Field(ge=0, le=9007199254740991)]
    step: Annotated[int, Field(ge=0, le=9007199254740991)]
    metrics: dict[Annotated[str, StringConstraints(max_length=120)], float | None]


class SampleData(BaseModel):
    epoch: Annotated[int, Field(ge=0, le=9007199254740991)]
    step: Annotated[int | None, Field(ge=0, le=9007199254740991)] = None
    sample_id: Annotated[str | None, Field(max_length=300)] = None
    image_uri: Annotated[str, Field(pattern="^s3:\\/\\/")]
    prediction: Annotated[str, Field(max_length=2000)]
    truth: Annotated[str | None, Field(max_length=2000)] = None


class WarningData(BaseModel):
    code: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
    message: Annotated[str | None, Field(max_length=2000)] = None


class HeartbeatData(BaseModel):
    rss_bytes: Annotated[int, Field(ge=0, le=9007199254740991)]
    gpu_mem_bytes: Annotated[int | None, Field(ge=0, le=9007199254740991)] = None
    gpu_util: Annotated[float | None, Field(ge=0.0, le=100.0)] = None


class FailedData(BaseModel):
    code: Literal[
        "BAD_CONFIG",
        "DATASET_INVALID",
        "MODEL_UNAVAILABLE",
        "STORAGE_FAILURE",
        "DIVERGED",
        "GPU_OUT_OF_MEMORY",
        "FRAMEWORK_ERROR",
        "CANCELLED",
        "PREEMPTED",
        "TIME_LIMIT",
        "TRAINER_BUG",
        "OOM_KILLED",
        "KILLED",
        "CRASHED",
        "RESULT_MISSING",
        "WORKER_LOST",
        "LAUNCH_FAILED",
        "ENVIRONMENT_MISSING",
        "IMAGE_MISSING",
        "NOT_SCHEDULABLE",
    ]
    message: Annotated[str, Field(max_length=4000)]
    retryable: bool
    trace_tail: Annotated[str | None, Field(max_length=6000)] = None


class StoppedData(BaseModel):
    reason: Literal["cancelled", "preempted", "timeout"]
    resume_uri: Annotated[str | None, Field(pattern="^s3:\\/\\/")]


class Artifact(BaseModel):
    """
    A file that a job leaves in the storage.
    """

    name: Annotated[str, Field(max_length=200, min_length=1)]
    uri: Annotated[str, Field(pattern="^s3:\\/\\/")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0, le=9007199254740991)]
    media_type: Annotated[str, Field(max_length=120)]


class Failure(BaseModel):
    """
    Why an attempt or a job failed.
    """

    code: Literal[
        "BAD_CONFIG",
        "DATASET_INVALID",
        "MODEL_UNAVAILABLE",
        "STORAGE_FAILURE",
        "DIVERGED",
        "GPU_OUT_OF_MEMORY",
        "FRAMEWORK_ERROR",
        "CANCELLED",
        "PREEMPTED",
        "TIME_LIMIT",
        "TRAINER_BUG",
        "OOM_KILLED",
        "KILLED",
        "CRASHED",
        "RESULT_MISSING",
        "WORKER_LOST",
        "LAUNCH_FAILED",
        "ENVIRONMENT_MISSING",
        "IMAGE_MISSING",
        "NOT_SCHEDULABLE",
    ]
    message: Annotated[str, Field(max_length=4000)]
    hint: str | None = None


class DatasetShard(BaseModel):
    name: str
    split: str
    samples: Annotated[int, Field(ge=0, le=9007199254740991)]
    bytes: Annotated[int, Field(ge=0, le=9007199254740991)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


CountsAdditionalProperty = TypeAliasType(
    "CountsAdditionalProperty", Annotated[int, Field(ge=0, le=9007199254740991)]
)


class ClassCount(RootModel[int]):
    root: Annotated[int, Field(ge=0, le=9007199254740991)]


class Samples(BaseModel):
    name: str
    bytes: Annotated[int, Field(ge=0, le=9007199254740991)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    count: Annotated[int, Field(ge=0, le=9007199254740991)]


class SkeletonItem(RootModel[tuple[float, float]]):
    root: Annotated[tuple[float, float], Field(max_length=2, min_length=2)]


class Keypoints(BaseModel):
    names: Annotated[list[str], Field(max_length=200, min_length=1)]
    flip_indices: Annotated[list[float], Field(max_length=200)]
    skeleton: Annotated[list[SkeletonItem], Field(max_length=400)]


class DatasetManifest(BaseModel):
    """
    MANIFEST.json of a dataset version; written last.
    """

    v: Literal[1]
    dataset_id: Annotated[int, Field(ge=1, le=9007199254740991)]
    version: Annotated[int, Field(ge=1, le=9007199254740991)]
    task_type: Literal[
        "image_classification",
        "object_detection",
        "instance_segmentation",
        "semantic_segmentation",
        "pose_estimation",
        "image_captioning",
    ]
    classes: list[str]
    counts: dict[str, CountsAdditionalProperty]
    class_counts: dict[str, list[ClassCount]]
    shards: list[DatasetShard]
    samples: Samples
    source_format: str
    statistics: dict[str, Any]
    keypoints: Keypoints | None = None


class RunLengthMask(BaseModel):
    size: tuple[float, float]
    counts: str


class Keypoint(RootModel[tuple[float, float, float]]):
    root: Annotated[tuple[float, float, float], Field(max_length=3, min_length=3)]


class SampleObject(BaseModel):
    category: Annotated[int, Field(ge=0, le=9007199254740991)]
    box: tuple[float, float, float, float]
    crowd: bool | None = None
    polygons: list[list[float]] | None = None
    rle: RunLengthMask | None = None
    keypoints: list[Keypoint] | None = None


class Mask(BaseModel):
    member: str
    offset: Annotated[int, Field(ge=0, le=9007199254740991)]
    bytes: Annotated[int, Field(ge=0, le=9007199254740991)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class DatasetSample(BaseModel):
    """
    One line of samples.jsonl.gz.
    """

    id: str
    split: str
    shard: str
    member: str
    offset: Annotated[int, Field(ge=0, le=9007199254740991)]
    bytes: Annotated[int, Field(ge=0, le=9007199254740991)]
    width: Annotated[int, Field(ge=1, le=9007199254740991)]
    height: Annotated[int, Field(ge=1, le=9007199254740991)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    label: Annotated[int | None, Field(ge=0, le=9007199254740991)] = None
    objects: Annotated[list[SampleObject] | None, Field(max_length=5000)] = None
    mask: Mask | None = None
    captions: Annotated[list[str] | None, Field(max_length=50, min_length=1)] = None


class DatasetSummary(BaseModel):
    source_format: str
    classes: list[str]
    counts: dict[str, CountsAdditionalProperty]
    samples: Annotated[int, Field(ge=0, le=9007199254740991)]
    bytes: Annotated[int, Field(ge=0, le=9007199254740991)]


class Finding(BaseModel):
    """
    Something wrong with an uploaded dataset.
    """

    severity: Literal["error", "warning"]
    code: Annotated[str, Field(pattern="^[A-Z][A-Z0-9_]*$")]
    file: Annotated[str | None, Field(max_length=1000)]
    reason: Annotated[str, Field(max_length=1000)]


class File(BaseModel):
    name: str
    bytes: Annotated[int, Field(ge=0, le=9007199254740991)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Model(BaseModel):
    model_config = ConfigDict(
        extra="allow",
    )
    __annotations__ = {
        "__pydantic_extra__": Dict[str, Any],
    }
    framework: str
    model_name: str
    task_type: Literal[
        "image_classification",
        "object_detection",
        "instance_segmentation",
        "semantic_segmentation",
        "pose_estimation",
        "image_captioning",
    ]


class CheckpointManifest(BaseModel):
    """
    MANIFEST.json of a checkpoint folder; written last.
    """

    v: Literal[1]
    job_id: Annotated[int, Field(ge=1, le=9007199254740991)]
    attempt: Annotated[int, Field(ge=1, le=9007199254740991)]
    epoch: Annotated[int, Field(ge=0, le=9007199254740991)]
    step: Annotated[int, Field(ge=0, le=9007199254740991)]
    files: list[File]
    versions: dict[str, str]
    config_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    classes: list[str]
    metrics: dict[Annotated[str, StringConstraints(max_length=120)], float | None]
    model: Model | None = None


class CheckpointPointer(BaseModel):
    """
    last.json and best.json; replaced after the folder is complete.
    """

    v: Literal[1]
    uri: Annotated[str, Field(pattern="^s3:\\/\\/")]
    manifest_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    epoch: Annotated[int, Field(ge=0, le=9007199254740991)]
    step: Annotated[int, Field(ge=0, le=9007199254740991)]
    previous: str | None


class FindingCounts(BaseModel):
    error: Annotated[int, Field(ge=0, le=9007199254740991)]
    warning: Annotated[int, Field(ge=0, le=9007199254740991)]


class TrainerResult(BaseModel):
    """
    RESULT.json; written after every artifact it names.
    """

    v: Literal[1]
    job_id: Annotated[int, Field(ge=1, le=9007199254740991)]
    attempt: Annotated[int, Field(ge=1, le=9007199254740991)]
    kind: Literal["ingest", "train", "evaluate", "predict", "export"]
    status: Literal["succeeded", "failed"]
    metrics: dict[Annotated[str, StringConstraints(max_length=120)], float | None]
    artifacts: list[Artifact]
    findings: Annotated[list[Finding] | None, Field(max_length=1000)] = None
    finding_counts: FindingCounts | None = None
    dataset: DatasetSummary | None = None


class Label(BaseModel):
    category: Annotated[int, Field(ge=0, le=9007199254740991)]
    name: str
    score: Annotated[float, Field(ge=0.0, le=1.0)]


class Object(BaseModel):
    category: Annotated[int, Field(ge=0, le=9007199254740991)]
    name: str
    score: Annotated[float, Field(ge=0.0, le=1.0)]
    box: tuple[float, float, float, float]
    rle: RunLengthMask | None = None
    keypoints: list[Keypoint] | None = None


class Mask1(BaseModel):
    artifact: str
    shares: dict[str, float]


class Prediction(BaseModel):
    image: str
    width: Annotated[int, Field(ge=1, le=9007199254740991)]
    height: Annotated[int, Field(ge=1, le=9007199254740991)]
    labels: list[Label] | None = None
    objects: list[Object] | None = None
    mask: Mask1 | None = None
    caption: str | None = None
    overlay: str | None = None


class PerClassItem(BaseModel):
    name: str
    support: Annotated[int, Field(ge=0, le=9007199254740991)]
    metrics: dict[Annotated[str, StringConstraints(max_length=120)], float | None]


class PrCurve(BaseModel):
    name: str
    threshold: float
    recall: list[float]
    precision: list[float | None]


class WorstItem(BaseModel):
    image: str
    score: float | None
    prediction: Annotated[str, Field(max_length=2000)]
    truth: Annotated[str, Field(max_length=2000)]
    overlay: str | None = None


class EvaluationReport(BaseModel):
    v: Literal[1]
    task_type: Literal[
        "image_classification",
        "object_detection",
        "instance_segmentation",
        "semantic_segmentation",
        "pose_estimation",
        "image_captioning",
    ]
    split: str
    samples: Annotated[int, Field(ge=0, le=9007199254740991)]
    metrics: dict[Annotated[str, StringConstraints(max_length=120)], float | None]
    classes: list[str]
    per_class: list[PerClassItem]
    confusion_matrix: list[list[float]] | None = None
    pr_curves: list[PrCurve] | None = None
    worst: list[WorstItem]


class Input(BaseModel):
    name: str
    shape: list[float | str]
    type: str


class Output(BaseModel):
    name: str
    shape: list[float | str]
    type: str


class Parity(BaseModel):
    samples: Annotated[int, Field(ge=1, le=9007199254740991)]
    max_abs_diff: float
    tolerance: float
    metric: str
    metric_original: float | None
    metric_exported: float | None
    metric_diff: float | None


class ExportReport(BaseModel):
    v: Literal[1]
    format: str
    artifact: str
    engine: str
    opset: Annotated[int | None, Field(ge=-9007199254740991, le=9007199254740991)] = (
        None
    )
    inputs: list[Input]
    outputs: list[Output]
    preprocessing: dict[str, Any]
    classes: list[str]
    parity: Parity


class KindManifest(BaseModel):
    command: Annotated[list[str], Field(min_length=1)]
    options: dict[str, Any] | None = None


class Weights(BaseModel):
    license: str
    source: Annotated[str, Field(max_length=300)]
    file: Annotated[str, Field(max_length=200)]


class Accuracy(BaseModel):
    value: float
    unit: Annotated[str, Field(max_length=60)]
    on: Annotated[str, Field(max_length=200)]
    source: Annotated[str, Field(max_length=300)]


class Speed(BaseModel):
    value: float
    unit: Annotated[str, Field(max_length=60)]
    on: Annotated[str, Field(max_length=200)]
    source: Annotated[str, Field(max_length=300)]


class Recommended(BaseModel):
    epochs: Annotated[int, Field(ge=1, le=9007199254740991)]
    batch_size: Annotated[int, Field(ge=1, le=9007199254740991)]
    learning_rate: Annotated[float, Field(gt=0.0)]


class CatalogueModel(BaseModel):
    name: Annotated[str, Field(max_length=120, min_length=1)]
    title: str
    tasks: Annotated[
        list[
            Literal[
                "image_classification",
                "object_detection",
                "instance_segmentation",
                "semantic_segmentation",
                "pose_estimation",
                "image_captioning",
            ]
        ],
        Field(min_length=1),
    ]
    params_m: Annotated[float, Field(ge=0.0)]
    input_size: Annotated[int, Field(ge=1, le=9007199254740991)]
    license: str
    tags: list[str]
    pretrained: bool
    weights: Weights | None = None
    accuracy: Accuracy | None = None
    speed: Speed | None = None
    recommended: Recommended | None = None
    memory_mb: Annotated[int | None, Field(ge=1, le=9007199254740991)] = None
    hyperparameters: dict[str, Any] | None = None
    notes: str | None = None


class SystemPackage(RootModel[str]):
    root: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9.+-]*$")]


class Environment(BaseModel):
    lock: str
    torch: bool | None = False
    system_packages: Annotated[
        list[SystemPackage] | None, Field(validate_default=True)
    ] = []


class Resources(BaseModel):
    gpu: Literal["none", "optional", "required"]
    multi_gpu: bool
    min_memory_mb: Annotated[int, Field(ge=1, le=9007199254740991)]
    shm_mb: Annotated[int, Field(ge=0, le=9007199254740991)]


class Tasks(BaseModel):
    primary_metric: str
    direction: Literal["max", "min"]


class TrainerManifest(BaseModel):
    contract_version: Literal[1]
    framework: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{1,30}$")]
    title: str
    license: str
    image: str
    environment: Environment | None = None
    enabled: bool
    notice: Annotated[str | None, Field(max_length=1000)] = None
    listed: bool | None = True
    resources: Resources | None = None
    kinds: dict[
        Literal["ingest", "train", "evaluate", "predict", "export"], KindManifest
    ]
    tasks: dict[
        Literal[
            "image_classification",
            "object_detection",
            "instance_segmentation",
            "semantic_segmentation",
            "pose_estimation",
            "image_captioning",
        ],
        Tasks,
    ]
    hyperparameters: dict[str, Any]
    models: list[CatalogueModel]


class StateEventData(BaseModel):
    state: Literal["PENDING", "QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
    previous: (
        Literal["PENDING", "QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
        | None
    )
    reason: str | None = None
    failure: Failure | None = None
    metrics: (
        dict[Annotated[str, StringConstraints(max_length=120)], float | None] | None
    ) = None
    primary_metric: str | None = None


class AttemptEventData(BaseModel):
    attempt: Annotated[int, Field(ge=1, le=9007199254740991)]
    status: Literal["claimed", "adopted", "ended"]
    worker_id: str | None = None
    outcome: (
        Literal["succeeded", "failed", "cancelled", "preempted", "lost", "interrupted"]
        | None
    ) = None
    exit_code: Annotated[
        int | None, Field(ge=-9007199254740991, le=9007199254740991)
    ] = None
    failure: Failure | None = None
    worker_lost: Literal[True] | None = None


class StartedEvent(BaseModel):
    v: Literal[1]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    src_seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    type: Literal["started"]
    data: StartedData


class PhaseEvent(BaseModel):
    v: Literal[1]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    src_seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    type: Literal["phase"]
    data: PhaseData


class ProgressEvent(BaseModel):
    v: Literal[1]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    src_seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    type: Literal["progress"]
    data: ProgressData


class MetricsEvent(BaseModel):
    v: Literal[1]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    src_seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    type: Literal["metrics"]
    data: MetricsData


class LogEvent(BaseModel):
    v: Literal[1]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    src_seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    type: Literal["log"]
    data: LogData


class CheckpointEvent(BaseModel):
    v: Literal[1]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    src_seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    type: Literal["checkpoint"]
    data: CheckpointData


class SampleEvent(BaseModel):
    v: Literal[1]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    src_seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    type: Literal["sample"]
    data: SampleData


class WarningEvent(BaseModel):
    v: Literal[1]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    src_seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    type: Literal["warning"]
    data: WarningData


class HeartbeatEvent(BaseModel):
    v: Literal[1]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    src_seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    type: Literal["heartbeat"]
    data: HeartbeatData


class SucceededData(BaseModel):
    metrics: dict[Annotated[str, StringConstraints(max_length=120)], float | None]
    artifacts: list[Artifact]


class FailedEvent(BaseModel):
    v: Literal[1]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    src_seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    type: Literal["failed"]
    data: FailedData


class StoppedEvent(BaseModel):
    v: Literal[1]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    src_seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    type: Literal["stopped"]
    data: StoppedData


class JobEvent(BaseModel):
    """
    A durable fact about a job. Apply seq = last + 1, drop smaller, on a gap ask for after=<last>.
    """

    v: Literal[1]
    job_id: Annotated[int, Field(ge=1, le=9007199254740991)]
    project_id: Annotated[int, Field(ge=1, le=9007199254740991)]
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    attempt: Annotated[int, Field(ge=0, le=9007199254740991)]
    src: Literal["gateway", "worker", "trainer"]
    type: Annotated[str, Field(max_length=60, min_length=1)]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    trace_id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    data: Annotated[dict[str, Any], Field(title="JobData")]


class SucceededEvent(BaseModel):
    v: Literal[1]
    ts: Annotated[
        str,
        Field(
            pattern="^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"
        ),
    ]
    src_seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    type: Literal["succeeded"]
    data: SucceededData


class TrainerEvent(
    RootModel[
        StartedEvent
        | PhaseEvent
        | ProgressEvent
        | MetricsEvent
        | LogEvent
        | CheckpointEvent
        | SampleEvent
        | WarningEvent
        | HeartbeatEvent
        | SucceededEvent
        | FailedEvent
        | StoppedEvent
    ]
):
    root: Annotated[
        StartedEvent
        | PhaseEvent
        | ProgressEvent
        | MetricsEvent
        | LogEvent
        | CheckpointEvent
        | SampleEvent
        | WarningEvent
        | HeartbeatEvent
        | SucceededEvent
        | FailedEvent
        | StoppedEvent,
        Field(
            description="One event of a trainer; src_seq counts 1, 2, 3… per attempt.",
            title="TrainerEvent",
        ),
    ]
