"""A sound task file, changes that make other files of it, and what `unilaw check` finds of one."""

from pathlib import Path

from harness.execution.check_file import check_file
from harness.execution.task_check import Finding

SOUND = '''
import random
import time
import numpy as np
import torch
from torch import nn
from harness.noise import Noise, flip_labels, resample_labels
from harness.task import Config, Data, Field, Size, Task


class TriedConfig(Config):
    n: int = Field(default=40, ge=10, le=100, description="points")
    width: int = Size(4, description="units")


class Tried(Task):
    """A task to be tried."""

    name = "tried"
    Config = TriedConfig

    def input_shape(self, config):
        return (3,)

    def data(self, config, seeds):
        x = torch.randn(config.n + 50, 3, generator=seeds.generator("data"))
        y, noise = flip_labels(x[50:, 0].sign(), 0.2, seeds.generator("noise"))
        return Data(x[50:], y, x[:50], x[:50, 0].sign(), noise)

    def model(self, config):
        return nn.Sequential(nn.Linear(3, config.width), nn.ReLU(), nn.Linear(config.width, 1))
'''

LANGUAGE = """
from harness.language import CausalLM
from harness.task import Field
from tasks.text_stream import TextStream, TextStreamConfig


class SmallConfig(TextStreamConfig):
    n: int = Field(8, description="windows")
    context: int = Field(8, description="tokens")
    depth: int = Field(1, description="layers", json_schema_extra={"size": True})


class Model(CausalLM):
    def forward(self, x):
        return super().forward(x)


class Small(TextStream):
    name = "small"
    Config = SmallConfig

    def model(self, config):
        return Model(super().model(config).transformer)
"""

NOISE = 'y, noise = flip_labels(x[50:, 0].sign(), 0.2, seeds.generator("noise"))'
GIVEN = "return Data(x[50:], y, x[:50], x[:50, 0].sign(), noise)"
TEN = (
    NOISE,
    "clean = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()\n"
    "        y, noise = resample_labels(clean[50:], 4, 0.2, seeds.generator('noise'))",
)
TEN_GIVEN = (GIVEN, "return Data(x[50:], y, x[:50], clean[:50], noise, classes=4)")
TEN_OUT = ("nn.Linear(config.width, 1)", "nn.Linear(config.width, 4)")


def findings(folder: Path, text: str) -> dict[str, Finding]:
    """Return what is found of the one task of a file, by check."""
    file = folder / "tried.py"
    file.write_text(text)
    ((_, found),) = check_file(file)
    return {finding.check: finding for finding in found}


def changed(*changes: tuple[str, str]) -> str:
    text = SOUND
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text
