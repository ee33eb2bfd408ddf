"""A task file whose trials harm their process in the way that their configuration names."""

import ctypes
import io
import math
import os
import signal
import sys
import warnings
from typing import Any, Literal

import torch
from torch import nn

from harness.noise import flip_labels
from harness.task import Config, Data, Field, Seeds, Task


class HarmConfig(Config):
    """Which harm."""

    how: Literal[
        "none",
        "keyboard-interrupt",
        "mute",
        "float64",
        "settings",
        "nan-dimension",
        "unholdable",
        "os-exit",
        "c-exit",
    ] = Field("none", description="what the trial does to its process")
    n: int = Field(16, ge=2, description="training samples")
    max_epochs: int = Field(3, ge=1, description="cap on epochs")


class MuteError(Exception):
    """An exception that cannot be printed."""

    def __str__(self) -> str:
        raise ZeroDivisionError("no words")


class Harm(Task):
    """Points with coin-flip labels, and harm done while they are made."""

    name = "harm"
    Config = HarmConfig

    def input_shape(self, config: HarmConfig) -> tuple[int, ...]:
        return (4,)

    def d_ambient(self, config: HarmConfig) -> Any:
        return math.nan if config.how == "nan-dimension" else 4

    def tokens_distinct(self, config: HarmConfig) -> Any:
        return 2**70 if config.how == "unholdable" else config.n

    def data(self, config: HarmConfig, seeds: Seeds) -> Data:
        harm(config)
        draw = seeds.generator("data")
        x = torch.randn(config.n, 4, generator=draw)
        x_test = torch.randn(32, 4, generator=draw)
        y, noise = flip_labels(x[:, 0].sign(), 0.2, seeds.generator("noise"))
        return Data(x, y, x_test, x_test[:, 0].sign(), noise)

    def model(self, config: HarmConfig) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))


def harm(config: HarmConfig) -> None:
    match config.how:
        case "keyboard-interrupt":
            raise KeyboardInterrupt
        case "mute":
            raise MuteError
        case "float64":
            torch.set_default_dtype(torch.float64)
        case "settings":
            torch.set_grad_enabled(False)
            torch.set_default_device("meta")
            torch.use_deterministic_algorithms(True)
            warnings.simplefilter("error")
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            sys.stdout = io.StringIO()
            os.chdir("/")
            raise LookupError("and then it fails")
        case "os-exit":
            os._exit(0)
        case "c-exit":
            ctypes.CDLL(None)._exit(0)
