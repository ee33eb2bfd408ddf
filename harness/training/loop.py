"""The loop that trains one model with Adam until its stop rule is met.

fit = train(model, data, config, order=Seeds(0).generator("order"))
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.errors import TrialFailure
from harness.task import Config, Data

INTERPOLATION_MSE = 0.01
"""A ±1 target counts as interpolated at this mean squared error: one hundredth of the target's variance."""

CHECK_MARGIN = 2.0
"""The whole training set is evaluated when an epoch's running figure is within this factor of the stop level."""

EVALUATION_BATCH = 4096


class Fit(NamedTuple):
    """Where training ended; `loss` and `error` are over the whole training set at the final weights."""

    loss: float
    error: float
    epochs: int
    steps: int
    stop_reason: str


class Evaluation(NamedTuple):
    """Mean loss (squared error, or cross-entropy in nats) and share of wrong labels over a set."""

    loss: float
    error: float


def train(model: nn.Module, data: Data, config: Config, order: torch.Generator) -> Fit:
    """Train in place, on the device the model and data are on. The order of samples comes from `order` alone.

    Raises TrialFailure("nan") when the loss is not finite, ValueError when the stop rule `noise` has no noise to go by.
    """
    if config.stop == "noise" and not data.noise.epsilon:
        raise ValueError("stop 'noise' needs labels with injected noise; add some, or use stop 'interpolate' or 'epochs'")
    n, batch_size = len(data.x_train), min(config.batch_size, len(data.x_train))
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, fused=True)
    steps = 0
    model.train()
    for epoch in range(1, config.max_epochs + 1):
        shuffled = torch.randperm(n, generator=order).to(data.x_train.device)
        losses, errors = [], []
        for x, y in zip(data.x_train[shuffled].split(batch_size), data.y_train[shuffled].split(batch_size), strict=True):
            output = model(x)
            loss = sample_losses(output, y, data.classes).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach() * len(y))
            if data.classes is not None:  # the stop rules of ±1 targets look at the loss alone
                errors.append(wrong(output.detach(), y, data.classes).sum())
            steps += 1
        near = Evaluation(float(sum(losses)) / n, float(sum(errors)) / n)
        if not math.isfinite(near.loss):
            raise TrialFailure("nan", f"the training loss is {near.loss} after epoch {epoch}")
        if _met(near, data, config, CHECK_MARGIN):
            exact = evaluate(model, data.x_train, data.y_train, data.classes)
            if reason := _met(exact, data, config):
                return Fit(exact.loss, exact.error, epoch, steps, reason)
    exact = evaluate(model, data.x_train, data.y_train, data.classes)
    if not math.isfinite(exact.loss):
        raise TrialFailure("nan", f"the training loss is {exact.loss} at the final weights")
    return Fit(exact.loss, exact.error, config.max_epochs, steps, _met(exact, data, config) or "epoch_cap")


def _met(at: Evaluation, data: Data, config: Config, margin: float = 1.0) -> str | None:
    """The stop reason, if the rule is met with its level raised `margin` times (from no wrong label to 2 % of them)."""
    if config.stop == "noise":
        figure = at.loss if data.classes is None else at.error
        return "below_noise" if figure <= (data.noise.level - data.noise.epsilon) * margin else None
    if config.stop == "interpolate":
        if data.classes is None:
            return "interpolated" if at.loss <= INTERPOLATION_MSE * margin else None
        return "interpolated" if at.error <= 0.02 * (margin - 1) else None
    return None


def sample_losses(output: Tensor, y: Tensor, classes: int | None) -> Tensor:
    """(B,) squared errors for a ±1 target, cross-entropies in nats for classes. output: (B, 1) or (B, K)."""
    if classes is None:
        return (output.reshape(-1) - y).square()
    return F.cross_entropy(output, y, reduction="none")


def predicted(output: Tensor, classes: int | None) -> Tensor:
    """(B,) predicted labels: ±1., or class numbers. An output of exactly 0 counts as +1."""
    if classes is None:
        return torch.where(output.reshape(-1) >= 0, 1.0, -1.0)
    return output.argmax(1)


def wrong(output: Tensor, y: Tensor, classes: int | None) -> Tensor:
    """(B,) bool: the predicted label is not y's. A real-valued target is judged by its sign."""
    target = y if classes is not None else torch.where(y >= 0, 1.0, -1.0)
    return predicted(output, classes) != target


@torch.no_grad()
def evaluate(model: nn.Module, x: Tensor, y: Tensor, classes: int | None) -> Evaluation:
    """Mean loss and error over a whole set, in eval mode; the model's mode is put back."""
    was_training = model.training
    model.eval()
    loss = error = 0.0
    for xs, ys in zip(x.split(EVALUATION_BATCH), y.split(EVALUATION_BATCH), strict=True):
        output = model(xs)
        loss += float(sample_losses(output, ys, classes).sum())
        error += float(wrong(output, ys, classes).sum())
    model.train(was_training)
    return Evaluation(loss / len(x), error / len(x))
