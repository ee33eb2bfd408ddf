"""Train a language model on windows of tokens in which every position is a target.

checkpoint = LanguageCheckpoint.at(pattern, trial)
order = Seeds(0).generator("order")
fit = train_language(model, corpus.train, config, order, device, checkpoint)
"""

import math
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from harness.errors import TrialFailure
from harness.language import LanguageConfig
from harness.training.language_batches import batches, training_windows
from harness.training.language_checkpoint import LanguageCheckpoint
from harness.training.language_steps import LanguageTraining
from harness.training.processes import ALONE, CPU, Processes

CURVE_POINTS = 100


class LossPoint(NamedTuple):
    """One point of the training curve."""

    step: int
    """Steps done."""
    tokens: int
    """Targets seen so far, repeats counted."""
    loss: float
    """Mean training loss since the previous point, in nats per token, each step's before its
    update."""


class LanguageFit(NamedTuple):
    """Where training ended."""

    loss: float
    """Mean training loss over the last ⌈steps/10⌉ steps, in nats per token, each step's before its
    update. In a single pass these are tokens not seen before. Dropout, if the model has any, is
    on."""
    error: float
    """Share of next tokens that were not the most probable one, over the same steps."""
    steps: int
    curve: list[LossPoint]
    """At most CURVE_POINTS points, evenly spaced except for the last, which is at the end."""
    resumed_step: int | None
    """Step of the checkpoint that training resumed from; None when it started from scratch."""


def train_language(
    model: nn.Module,
    tokens: np.ndarray,
    config: LanguageConfig,
    order: torch.Generator,
    device: torch.device,
    checkpoint: LanguageCheckpoint | None,
    processes: Processes = ALONE,
) -> LanguageFit:
    """Train the model in place, on the device, and leave it there in evaluation mode.

    model: (B, context) int64 tokens to (B, context, vocabulary) logits. tokens: (N,), any integers,
    usually memory-mapped. order: freshly seeded, also when training resumes from a checkpoint,
    because the order of all windows is drawn anew. checkpoint: training resumes from it exactly,
    bit for bit where the device's kernels give the same bits twice, as a CPU's do. From a
    checkpoint of another number of processes training resumes up to rounding, except where the
    model draws at random. processes: each of several processes calls this with its part of the
    model, and with the same config and order. Only the first passes the checkpoint.

    Raise UserError when there are fewer than n windows, ValueError when n or max_epochs is 0, and
    TrialFailure("nan") with the step whose loss is not finite.
    """
    if not config.n or not config.max_epochs:
        raise ValueError(
            f"nothing to train on: n is {config.n} and max_epochs is {config.max_epochs}"
        )
    windows = training_windows(tokens, config.context, config.n)
    training = LanguageTraining(model.to(device).train(), windows, config, device, processes)
    steps = training.steps

    saved = checkpoint.load(device if processes == ALONE else CPU) if checkpoint else None
    first_step = processes.broadcast(saved.step if saved else 0)
    if first_step:
        training.restore(first_step, saved)

    check_steps = set(_curve_steps(steps))
    checked = 0
    remaining = islice(batches(len(windows), config, order), first_step, None)
    for step, rows in enumerate(remaining, start=first_step):
        training.step(step, rows)
        done = step + 1

        if done in check_steps:
            _check_losses(processes.all_reduce(training.losses[checked:done]), checked)
            checked = done

        is_due = checkpoint is not None and done < steps and checkpoint.due
        if processes.broadcast_flag(is_due):
            state = training.state(done)
            if checkpoint:
                checkpoint.save(state)

    if not processes.all_finite(list(training.parameters.values()), device):
        raise TrialFailure("nan", f"a weight is not finite after the last step, {steps}")
    model.eval()
    return _fit(training, resumed_step=first_step or None)


def _curve_steps(steps: int) -> list[int]:
    """Return the counts of finished steps at which the curve has a point and the losses are
    checked."""
    apart = -(-steps // CURVE_POINTS)
    return [*range(apart, steps, apart), steps]


def _check_losses(losses: Tensor, begin: int) -> None:
    """Raise TrialFailure for the first loss that is not finite; losses[0] is that of step
    `begin`, counted from 0."""
    for step, loss in enumerate(losses.tolist(), start=begin + 1):
        if not math.isfinite(loss):
            raise TrialFailure("nan", f"the training loss is {loss} in step {step}")


def _fit(training: LanguageTraining, resumed_step: int | None) -> LanguageFit:
    """Return the figures of a finished training, from the losses of all its steps."""
    config = training.config
    processes = training.processes
    losses = processes.all_reduce(training.losses).double().cpu().numpy()

    # The last step of an epoch may have fewer windows.
    begins = np.arange(config.steps_per_epoch) * config.batch_size
    windows = np.minimum(config.batch_size, config.n - begins)
    tokens = np.tile(windows, config.max_epochs) * config.context

    curve = []
    begin = 0
    for end in _curve_steps(training.steps):
        mean = np.average(losses[begin:end], weights=tokens[begin:end])
        curve.append(LossPoint(end, int(tokens[:end].sum()), float(mean)))
        begin = end

    last = slice(training.counted_from, None)
    loss = np.average(losses[last], weights=tokens[last])
    error = int(processes.all_reduce(training.wrong)) / int(tokens[last].sum())
    return LanguageFit(float(loss), error, training.steps, curve, resumed_step)
