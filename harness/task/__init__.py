"""The Task contract: what somebody writes to add a task. Everything else is done by the engine.

A task declares a typed configuration and three things about it: the shape of one input, the data,
the model. Training, stop rules, measures, parameter counts, cost, resume and the report follow.
`tasks/sphere.py` is a short complete example.
"""

from harness.task.base import BaseTask, Task
from harness.task.config import (
    EVALUATION_BATCH,
    PGD_STEPS,
    Adversary,
    Config,
    Field,
    Size,
    Source,
    StopRule,
)
from harness.task.data import Data, Text, check, check_dimensions
from harness.task.seeds import Seeds, Stream

__all__ = [
    "EVALUATION_BATCH",
    "PGD_STEPS",
    "Adversary",
    "BaseTask",
    "Config",
    "Data",
    "Field",
    "Seeds",
    "Size",
    "Source",
    "StopRule",
    "Stream",
    "Task",
    "Text",
    "check",
    "check_dimensions",
]
