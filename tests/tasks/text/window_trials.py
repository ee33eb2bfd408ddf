"""Configurations, data and trials of task `text`, small enough for a test."""

from typing import Any

import torch
from torch import Tensor

from harness.sweeps.sweep import Sweep, parse_sweep
from harness.sweeps.trial import Trial
from harness.task import Data, Seeds
from tasks.text import TextConfig, TextWindows, token_table

TASK = TextWindows()


def config_of(source: str, **given: Any) -> TextConfig:
    return TextConfig(
        **{
            "source": source,
            "n": 60,
            "context": 8,
            "d_in": 4,
            "width": 8,
            "layers": 1,
            "target_resample": 0.3,
            **given,
        }
    )


def data_of(source: str, seed: int = 0, **given: Any) -> Data:
    return TASK.data(config_of(source, **given), Seeds(seed))


def tokens_of(x: Tensor, vocabulary: int = 256) -> Tensor:
    """The tokens that inputs were made of."""
    return (
        torch.cdist(x.flatten(0, -2), token_table(vocabulary, x.shape[-1]))
        .argmin(1)
        .reshape(x.shape[:-1])
    )


# What is refused


def sweep(source: str, grid: str = "{}", seeds: str = "[0]", **fixed: Any) -> Sweep:
    usual = {"n": 60, "context": 8, "d_in": 4, "width": 8, "layers": 1, "target_resample": 0.3}
    fixed = {
        **{name: value for name, value in usual.items() if f"{name}:" not in grid},
        **fixed,
        "source": source,
    }
    text = (
        f"name: a\nseeds: {seeds}\ntasks:\n  - task: text\n    fixed: {fixed}\n    grid: {grid}\n"
    )
    return parse_sweep(text, "sweep.yaml", {})


def trial(source: str, seed: int = 0, **fixed: Any) -> Trial:
    return sweep(source, seeds=f"[{seed}]", **fixed).trials[0]
