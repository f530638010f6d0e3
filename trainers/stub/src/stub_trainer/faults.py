"""What goes wrong at a step of the script: things that happen to real trainers."""

from __future__ import annotations

import math
import os
import signal
import threading
import time

from vision_trainer.checkpoints import CheckpointStore
from vision_trainer.failures import TrainerFailure
from vision_trainer.run import TrainerJob
from vision_trainer.storage import join_uri

from .settings import Fault
from .walk import Progress, Walk, save_state

_MEBIBYTE = 1 << 20


class Faults:
    """The faults of this attempt, each done once when its step comes."""

    def __init__(self, faults: list[Fault], job: TrainerJob, store: CheckpointStore) -> None:
        self._waiting = [fault for fault in faults if fault.attempt in (None, job.env.attempt)]
        self._job = job
        self._store = store
        self._poisoned = False

    def before_step(self, walk: Walk, progress: Progress) -> None:
        """Does what is due before the next update. Some faults never return."""
        due = [fault for fault in self._waiting if fault.at_step <= progress.update + 1]
        for fault in due:
            self._waiting.remove(fault)
            self._happen(fault, walk, progress)

    def loss(self, loss: float) -> float:
        """The step's loss, or NaN once `non_finite` has begun."""
        return math.nan if self._poisoned else loss

    def _happen(self, fault: Fault, walk: Walk, progress: Progress) -> None:
        match fault.do:
            case "hang":
                threading.Event().wait()
            case "freeze":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "allocate":
                _allocate(fault.mebibytes)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(fault.exit_code)
            case "fail":
                raise TrainerFailure(fault.code, f"The script says: fail at step {fault.at_step}.")
            case "crash":
                raise RuntimeError(f"The script says: crash at step {fault.at_step}.")
            case "non_finite":
                self._poisoned = True
            case "torn_checkpoint":
                self._tear(walk, progress)

    def _tear(self, walk: Walk, progress: Progress) -> None:
        """Uploads a checkpoint's files but not its manifest, then dies."""
        folder = self._store.new_folder()
        save_state(folder, walk, progress, 0)
        uri = join_uri(self._job.env.output_uri, "checkpoints", f"{progress.update + 1:08d}")
        for path in sorted(folder.iterdir()):
            self._job.storage.upload_file(path, join_uri(uri, path.name))
        os.kill(os.getpid(), signal.SIGKILL)


def _allocate(mebibytes: int) -> None:
    """Takes memory in steps of 64 MiB, every page of it touched, and then waits for the end."""
    held = []
    for _ in range(0, mebibytes, 64):
        held.append(bytearray(b"\1") * (min(64, mebibytes) * _MEBIBYTE))
        time.sleep(0.001)
    threading.Event().wait()
