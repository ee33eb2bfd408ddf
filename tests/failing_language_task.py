"""A task file: GPT whose second process meets an accident in the sixth step, and whose
checkpoints are due at once."""

import os
import signal
import time
from pathlib import Path
from typing import Literal

import torch
import torch.distributed as dist

from harness.language import CausalLM
from harness.task import Field
from harness.training import checkpoint
from tasks.text_stream import TextStream, TextStreamConfig

checkpoint.EVERY_S = 0.0

STEP = 6


class LanguageTroubleConfig(TextStreamConfig):
    how: Literal["none", "kill-once", "oom", "hang"] = Field("hang", description="what happens")
    folder: str = Field("", description="where each process leaves a file named by its process id")


class Troubled(CausalLM):
    """GPT that counts its passes, which are as many as its steps: each batch is one piece."""

    def __init__(self, whole: CausalLM, config: LanguageTroubleConfig):
        super().__init__(whole.transformer)
        self.config = config
        self.passes = 0

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        if self.training and dist.is_initialized():
            (Path(self.config.folder) / str(os.getpid())).touch()
            self.passes += 1
            if self.passes == STEP and dist.get_rank() == 1:
                accident(self.config)
        return super().forward(tokens)


def accident(config: LanguageTroubleConfig) -> None:
    if config.how == "none":
        return
    if config.how == "oom":
        raise torch.OutOfMemoryError("CUDA out of memory, says the test")
    if config.how == "hang":
        time.sleep(1000)
    marker = Path(config.folder) / "killed"
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


class LanguageTrouble(TextStream):
    name = "language-trouble"
    Config = LanguageTroubleConfig

    def model(self, config: LanguageTroubleConfig) -> CausalLM:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Troubled(super().model(config), config)
