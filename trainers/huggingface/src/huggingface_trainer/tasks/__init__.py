"""The five tasks, by their names in the contract."""

from __future__ import annotations

from .captioning import Captioning
from .classification import Classification
from .detection import Detection
from .pose import Pose
from .segmentation import Segmentation
from .task import Task, TaskData

__all__ = ["TASKS", "Task", "TaskData"]

TASKS: dict[str, type[Task]] = {task.type: task for task in (Classification, Detection, Segmentation, Captioning, Pose)}
