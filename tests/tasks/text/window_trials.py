"""Configurations, data and trials of task `text`, small enough for a test."""

from typing import Any

import torch
from torch import Tensor

from harness.sweeps.sweep import Sweep, parse_sweep
from harness.sweeps.trial import Trial
from harness.task import Data, Seeds
from tasks.text import TextConfig, TextWindows, token_table

TASK = TextWindows()


SMALL = {"n": 60, "context": 8, "d_in": 4, "width": 8, "layers": 1, "target_resample": 0.3}
"""What every configuration here has, unless a test asks for something else."""


def small(fields: dict[str, Any]) -> dict[str, Any]:
    """Return SMALL with these fields; without d_in beside the model's own embedding."""
    learned = fields.get("table") == "learned"
    own = {name: value for name, value in SMALL.items() if not (learned and name == "d_in")}
    return {**own, **fields}


def config_of(source: str, **fields: Any) -> TextConfig:
    return TextConfig(**small({"source": source, **fields}))


def data_of(source: str, seed: int = 0, **fields: Any) -> Data:
    return TASK.data(config_of(source, **fields), Seeds(seed))


def tokens_of(x: Tensor, vocabulary: int = 256) -> Tensor:
    """Return the tokens that inputs were made of."""
    distances = torch.cdist(x.flatten(0, -2), token_table(vocabulary, x.shape[-1]))
    return distances.argmin(1).reshape(x.shape[:-1])


def sweep(source: str, grid: str = "{}", seeds: str = "[0]", **fixed: Any) -> Sweep:
    given = small({**fixed, "source": source})
    fixed = {name: value for name, value in given.items() if f"{name}:" not in grid}
    text = (
        f"name: a\nseeds: {seeds}\ntasks:\n  - task: text\n    fixed: {fixed}\n    grid: {grid}\n"
    )
    return parse_sweep(text, "sweep.yaml", {})


def trial(source: str, seed: int = 0, **fixed: Any) -> Trial:
    return sweep(source, seeds=f"[{seed}]", **fixed).trials[0]
