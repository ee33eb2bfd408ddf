"""A task file whose trials go wrong in the way that their configuration names, for the tests of
runs."""

import ctypes
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from harness.noise import flip_labels
from harness.task import Config, Data, Field, Seeds, Size, StopRule, Task


class TroubleConfig(Config):
    """Which trouble, and how large the model is that has it."""

    how: Literal[
        "none",
        "raise",
        "long-message",
        "exit",
        "nan",
        "memory",
        "wait",
        "swallow",
        "hang",
        "kill",
        "kill-once",
        "surrogate",
        "short-inputs",
        "tied",
        "segfault",
        "not-an-exception",
        "inf",
        "not-data",
        "three-outputs",
        "allocate",
        "disk",
        "junk",
    ] = Field("none", description="what goes wrong")
    where: Literal["data", "model", "forward"] = Field(
        "data", description="when it goes wrong; forward: in training, its stack's too"
    )
    nap: float = Field(0.0, ge=0, description="seconds slept before anything else")
    marker: str = Field(
        "", description="kill-once: a file made by the first attempt; disk: the file that grows"
    )
    n: int = Field(16, ge=2, description="training samples")
    stop: StopRule = Field("epochs", description="when training ends")
    max_epochs: int = Field(3, ge=1, description="cap on epochs")
    width: int = Size(4, description="hidden units")


class Trouble(Task):
    """Points with coin-flip labels, and an accident on the way."""

    name = "trouble"
    Config = TroubleConfig

    def input_shape(self, config: TroubleConfig) -> tuple[int, ...]:
        return (4,)

    def data(self, config: TroubleConfig, seeds: Seeds) -> Data:
        time.sleep(config.nap)
        if config.where == "data":
            accident(config)
        if config.how == "not-data":
            return {"x": [1.0], "y": "up"}  # pyright: ignore[reportReturnType]
        draw = seeds.generator("data")
        x = torch.randn(config.n, 4, generator=draw)
        x_test = torch.randn(32, 4, generator=draw)
        y, noise = flip_labels(x[:, 0].sign(), 0.2, seeds.generator("noise"))
        if config.how == "nan":
            x = x * 1e30  # squared errors then overflow
        if config.how == "short-inputs":
            x = x[:-1]
        return Data(x, y, x_test, x_test[:, 0].sign(), noise)

    def model(self, config: TroubleConfig) -> nn.Module:
        if config.where == "model":
            accident(config)
        layers = [
            nn.Linear(4, config.width),
            nn.ReLU(),
            Fuse(config),
            nn.Linear(config.width, 3 if config.how == "three-outputs" else 1),
        ]
        if config.how == "inf":
            nn.init.constant_(layers[-1].bias, math.inf)
        if config.how == "tied":
            first = nn.Linear(4, 4)
            second = nn.Linear(4, 4)
            second.weight = first.weight
            layers = [first, second, *layers]
        return nn.Sequential(*layers)


class Fuse(nn.Module):
    """Passes its input on. From the third call on it has the accident: a stack has then tried its
    models, and trains.

    A stack calls its first trial's modules in place of all others'.
    """

    elementwise = True

    def __init__(self, config: TroubleConfig):
        super().__init__()
        self.config = config
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += x.device.type != "meta"
        if self.config.where == "forward" and self.calls >= 3:
            accident(self.config)
        return x


MOST_MB = 8192
"""Megabytes at which a trial that allocates without end stops, for the machine's sake."""

JUNK = b"\x00\xff\xfe\r\x1b[2J\x1b]0;title\x07" + bytes(range(256)) * 64 + b"no newline at the end"
"""Bytes that are not UTF-8, with zeros and a terminal's commands among them."""


class NotAnException(BaseException):
    """The kind of exception that Rust extensions raise for a panic."""


def accident(config: TroubleConfig) -> None:
    match config.how:
        case "raise":
            raise LookupError("the cat sat on it")
        case "long-message":
            raise ValueError("word " * 10_000)
        case "surrogate":
            raise ValueError("half a character: \ud800")
        case "not-an-exception":
            raise NotAnException("the sky fell")
        case "exit":
            sys.exit("enough")
        case "memory":
            torch.empty(10**14)
        case "allocate":
            hoard = []
            while len(hoard) < MOST_MB:  # touched, so that they are really taken
                hoard.append(bytearray(os.urandom(1) * 2**20))
            raise RuntimeError(f"{MOST_MB} MB were there to take")
        case "disk":
            with open(config.marker, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(2**16))
        case "junk":
            for stream in (1, 2):
                os.write(stream, JUNK)
        case "wait":
            while True:
                time.sleep(0.01)
        case "swallow":
            try:
                time.sleep(600)
            except Exception:
                pass
        case "hang":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            time.sleep(600)
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill-once" if not Path(config.marker).exists():
            Path(config.marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
