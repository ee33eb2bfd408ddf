"""Losses, predicted labels, and the exact figures of models over whole training sets."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.task import EVALUATION_BATCH, Data
from harness.training.program import Program


class Evaluation(NamedTuple):
    """Mean loss (squared error, or cross-entropy in nats) and share of wrong labels over a set."""

    loss: float
    error: float


def sample_losses(output: Tensor, y: Tensor, classes: int | None) -> Tensor:
    """Return (B,) squared errors for a ±1 target, cross-entropies in nats for classes.

    output: (B, 1) or (B, K). With T targets a sample, y is (B, T), output (B, T, K), and a sample's
    loss is the mean over its targets.
    """
    if classes is None:
        return (output.reshape(-1) - y).square()
    losses = F.cross_entropy(output.flatten(0, -2), y.flatten(), reduction="none")
    return losses if y.dim() == 1 else losses.unflatten(0, y.shape).mean(1)


def predicted(output: Tensor, classes: int | None) -> Tensor:
    """Return (B,) or (B, T) predicted labels: ±1., or class numbers. An output of exactly 0 counts
    as +1."""
    if classes is None:
        return torch.where(output.reshape(-1) >= 0, 1.0, -1.0)
    return output.argmax(-1)


def wrong(output: Tensor, y: Tensor, classes: int | None) -> Tensor:
    """Return (B,) or (B, T) bool: whether the predicted label differs from y's. A real-valued
    target is judged by its sign."""
    target = y if classes is not None else torch.where(y >= 0, 1.0, -1.0)
    return predicted(output, classes) != target


def wrong_share(output: Tensor, y: Tensor, classes: int | None) -> Tensor:
    """Return (B,) the share of each sample's targets that is predicted wrongly: 0 or 1 where it has
    one."""
    is_wrong = wrong(output, y, classes)
    return is_wrong if y.dim() == 1 else is_wrong.double().mean(1)


@torch.no_grad()
def evaluate(program: Program, data: Sequence[Data]) -> list[Evaluation]:
    """Return each model's figures over its group's whole training set, in evaluation mode.

    data: one set per group, all of one size. The models lie group after group, equally many in
    each.
    """
    program.train(False)
    groups = len(data)
    n = len(data[0].x_train)
    classes = data[0].classes

    loss = error = torch.zeros((), dtype=torch.float64, device=data[0].x_train.device)
    targets = data[0].trained_on[0].numel()
    size = max(EVALUATION_BATCH // (groups * targets), 64)
    for begin in range(0, n, size):
        part = slice(begin, begin + size)
        outputs = program(torch.stack([d.x_train[part] for d in data]))
        models = len(outputs)
        outputs = outputs.flatten(0, 1)
        y = torch.stack([d.trained_on[part] for d in data])
        y = y.repeat_interleave(models // groups, 0).flatten(0, 1)

        loss = loss + sample_losses(outputs, y, classes).unflatten(0, (models, -1)).sum(1)
        error = error + wrong_share(outputs, y, classes).unflatten(0, (models, -1)).sum(1)

    sums = zip(loss.tolist(), error.tolist(), strict=True)
    return [Evaluation(loss_sum / n, errors / n) for loss_sum, errors in sums]
