"""The frame around every trainer: set up, call the trainer's main, say how it ended, exit with the right code."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .cpu_limits import limit_threads
from .environment import EventSettings, TrainerEnvironment, remove_secrets
from .event_encoding import MAX_EVENT_BYTES
from .event_sinks import open_sink
from .events import EventPublisher
from .failures import (
    EXIT_SUCCEEDED,
    STOP_EXIT_CODES,
    AttemptReplaced,
    FailureCode,
    StopReason,
    TrainerFailure,
    TrainingStopped,
)
from .heartbeat import Heartbeat
from .library_settings import settle_libraries
from .logs import Redactor, configure_logging
from .result import ResultWriter
from .signals import StopController
from .storage import Storage

log = logging.getLogger(__name__)

# How long the last events may take to be delivered when nobody is waiting for the process to end.
_FAREWELL_S = 30.0
_TRACE_LINES = 40


@dataclass(slots=True)
class TrainerJob:
    """What a trainer's main is given. `work_dir` is deleted at the end; `cache_dir` is shared with other jobs."""

    env: TrainerEnvironment
    events: EventPublisher
    storage: Storage
    stop: StopController
    heartbeat: Heartbeat
    result: ResultWriter
    work_dir: Path
    cache_dir: Path
    versions: dict[str, str]

    def leave_if_stopped(self, resume_uri: str | None = None) -> None:
        """Raises TrainingStopped when a stop was asked for; for the phases in which nothing new could be saved."""
        if self.stop.replaced:
            raise AttemptReplaced("a newer attempt owns this job")
        if self.stop.stop_requested:
            raise TrainingStopped(self.stop.reason, resume_uri or self.env.resume_uri)


@dataclass(frozen=True, slots=True)
class TrainerOutcome:
    """What a successful main returns; its artifacts are those of `job.result`."""

    metrics: Mapping[str, float | None]


# Translates a framework's exception (out of GPU memory, …) into a failure, or None when it does not know it.
ErrorTranslator = Callable[[BaseException], TrainerFailure | None]


def run_trainer(
    main: Callable[[TrainerJob], TrainerOutcome],
    *,
    kinds: Sequence[str],
    packages: Sequence[str] = (),
    translate: ErrorTranslator = lambda error: None,
    effective_batch_size: Callable[[TrainerEnvironment], int] = lambda env: env.batch_size or 0,
) -> int:
    """Runs one job from the environment to the terminal event, and returns the exit code. Never raises.

    `kinds` are the job kinds that `main` serves; `packages` are the distributions whose versions `started` reports
    (looked up without importing them). `main` uploads everything, writes RESULT.json, and returns.
    """
    try:
        env = TrainerEnvironment.from_environ(kinds=kinds)
    except TrainerFailure as failure:
        return _refuse(failure)
    redact = Redactor(env.secrets)
    fields = {"framework": env.framework, "trace_id": env.trace_id, "job_id": env.job_id, "attempt": env.attempt}
    configure_logging(fields, redact)
    # Before a framework is imported: afterwards its pools of threads have their size.
    limit_threads(env.num_processes)
    stop = StopController(max_runtime_s=env.max_runtime_s, grace_s=env.grace_s, reason_file=env.stop_reason_file)
    stop.install()
    storage = Storage(env.storage)

    def replaced() -> None:
        storage.sealed = True
        stop.mark_replaced()

    sink = open_sink(env.events, on_cancel=lambda: stop.request_stop(StopReason.CANCELLED))
    events = EventPublisher(sink, redact=redact, on_replaced=replaced)
    versions = installed_versions(("vision-trainer-sdk", *packages))
    events.publish(
        "started",
        {
            "versions": versions,
            "device": expected_device(env.device),
            "world_size": env.num_processes,
            "effective_batch_size": effective_batch_size(env),
        },
    )
    events.phase("preparing")
    work_dir = Path(tempfile.mkdtemp(prefix=f"job-{env.job_id}-a{env.attempt}-"))
    settle_libraries(work_dir, allow_network=env.allow_network)
    heartbeat = Heartbeat(events, env.heartbeat_s)
    job = TrainerJob(
        env=env,
        events=events,
        storage=storage,
        stop=stop,
        heartbeat=heartbeat,
        result=ResultWriter(storage, env),
        work_dir=work_dir,
        cache_dir=env.cache_dir or work_dir / "cache",
        versions=versions,
    )
    try:
        exit_code = _run_main(main, job, redact, translate)
    finally:
        heartbeat.stop()
        _remove(work_dir)
    farewell_s = max(1.0, stop.grace_left_s() - 1.0) if stop.stop_requested else _FAREWELL_S
    if not stop.replaced and not events.close(farewell_s):
        log.error("the last events could not be delivered")
    # A framework that was still loading in a thread may have made its folder again.
    _remove(work_dir)
    log.info("exit %d", exit_code)
    return exit_code


def _remove(folder: Path) -> None:
    """Removes a folder into which a thread may still write; gives up after half a second."""
    for _ in range(10):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)


def exit_process(exit_code: int) -> None:
    """Ends the process without waiting for frameworks to take themselves apart (torch needs half a second)."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _run_main(
    main: Callable[[TrainerJob], TrainerOutcome],
    job: TrainerJob,
    redact: Redactor,
    translate: ErrorTranslator,
) -> int:
    """Calls main and publishes exactly one terminal event, after the heartbeat's last."""
    try:
        outcome = main(job)
    except AttemptReplaced as replaced:
        log.warning("%s", replaced)
        return STOP_EXIT_CODES[StopReason.PREEMPTED]
    except TrainingStopped as stopped:
        job.events.publish("stopped", {"reason": str(stopped.reason), "resume_uri": stopped.resume_uri})
        return STOP_EXIT_CODES[stopped.reason]
    except Exception as error:
        failure = error if isinstance(error, TrainerFailure) else translate(error) or _unexpected(error)
        log.exception("%s", failure.code)
        _publish_failure(job.events, failure, None if error is failure else error)
        return failure.exit_code
    artifacts = _fitting([asdict(artifact) for artifact in job.result.artifacts])
    job.events.publish("succeeded", {"metrics": dict(outcome.metrics), "artifacts": artifacts})
    return EXIT_SUCCEEDED


def _fitting(artifacts: list[dict[str, object]]) -> list[dict[str, object]]:
    """As many artifacts as an event has room for, those outside of folders first; RESULT.json names all of them."""
    room = MAX_EVENT_BYTES * 3 // 4
    chosen = []
    for artifact in sorted(artifacts, key=lambda artifact: "/" in str(artifact["name"])):
        room -= len(json.dumps(artifact, ensure_ascii=False).encode())
        if room < 0:
            break
        chosen.append(artifact)
    return chosen


def _publish_failure(events: EventPublisher, failure: TrainerFailure, cause: BaseException | None) -> None:
    data: dict[str, object] = {
        "code": str(failure.code),
        "message": failure.message,
        "retryable": failure.retryable,
    }
    if cause is not None:
        data["trace_tail"] = "".join(traceback.format_exception(cause)[-_TRACE_LINES:])
    events.publish("failed", data)


def _unexpected(error: BaseException) -> TrainerFailure:
    """An error nobody foresaw: the framework's when it was raised in foreign code, otherwise a bug of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = not frames or "site-packages" not in Path(frames[-1].filename).parts or "trainer" in frames[-1].filename
    code = FailureCode.TRAINER_BUG if ours else FailureCode.FRAMEWORK_ERROR
    return TrainerFailure(code, f"{type(error).__name__}: {error}")


def _refuse(failure: TrainerFailure) -> int:
    """The environment is not usable: say so on stderr and, where the event settings are good, as an event."""
    configure_logging({}, str)
    log.error("%s", failure.message)
    try:
        settings = EventSettings.from_environ(os.environ)
    except TrainerFailure:
        return failure.exit_code
    events = EventPublisher(open_sink(settings, on_cancel=lambda: None))
    remove_secrets(os.environ)
    _publish_failure(events, failure, None)
    events.close(5.0)
    return failure.exit_code


def installed_versions(distributions: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of those distributions that are installed, read from their metadata."""
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in distributions:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def expected_device(requested: str) -> str:
    """What `auto` will most likely become, without loading a framework: cuda where an NVIDIA driver is loaded."""
    if requested != "auto":
        return requested
    return "cuda" if Path("/proc/driver/nvidia/version").exists() else "cpu"
