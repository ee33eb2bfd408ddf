"""Networks trained on digits for the benchmarks of attacks."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from harness.sweeps.registry import TaskRef, load_samples
from harness.task import Data, Seeds
from harness.training.loop import StackGroup, train
from harness.training.stack import stack


def trained(grid: Sequence[dict[str, Any]]) -> tuple[Data, list[nn.Module]]:
    """Return nets that share data and order, one initialisation each, after five epochs without
    label noise; `grid` holds the fields of task `mnist` that differ."""
    task = load_samples(TaskRef("mnist"))
    configs = [
        task.Config.model_validate(
            {"head": "digits", "n": 4000, "stop": "epochs", "max_epochs": 5, **fields}
        )
        for fields in grid
    ]
    data = task.data(configs[0], Seeds(0))
    nets = []
    for k, config in enumerate(configs):
        torch.manual_seed(Seeds(k).stream("init"))
        nets.append(task.model(config))
    train(
        stack(nets, data.x_train[:4]),
        [StackGroup(data, Seeds(0).generator("order"), configs[0].lr)],
        configs,
    )
    return data, [net.eval() for net in nets]
