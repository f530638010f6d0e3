"""Generated from shared-contracts/src; do not edit. `./vp fix` writes it anew."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel, StringConstraints
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
    notes: str | None = None


class Kinds(BaseModel):
    command: Annotated[list[str], Field(min_length=1)]


class Tasks(BaseModel):
    primary_metric: str
    direction: Literal["max", "min"]


class TrainerManifest(BaseModel):
    contract_version: Literal[1]
    framework: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{1,30}$")]
    title: str
    license: str
    image: str
    enabled: bool
    kinds: dict[Literal["ingest", "train", "evaluate", "predict", "export"], Kinds]
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


class AttemptEventData(BaseModel):
    attempt: Annotated[int, Field(ge=1, le=9007199254740991)]
    status: Literal["claimed", "ended"]
    worker_id: str | None = None
    outcome: (
        Literal["succeeded", "failed", "cancelled", "preempted", "lost", "interrupted"]
        | None
    ) = None
    exit_code: Annotated[
        int | None, Field(ge=-9007199254740991, le=9007199254740991)
    ] = None
    failure: Failure | None = None


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
