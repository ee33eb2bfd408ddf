"""Train one model, or a stack of models, until each one's stop rule is met.

    group = StackGroup(data, order=Seeds(0).generator("order"), lr=1e-3)
    (fit,) = train(Alone(model), [group], [config])

With an adversary every step trains on inputs that are moved against the model (`adversary.py`).
Stop rules and the figures of a Fit still use the clean inputs.
"""

import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from harness.errors import TrialFailure
from harness.task import Config
from harness.training.adversary import adversary_of
from harness.training.evaluation import Evaluation
from harness.training.frontier import Frontier
from harness.training.program import Program
from harness.training.running_stack import Checkpoint, RunningStack, StackGroup
from harness.training.stop_rules import may_be_met, stop_reason


class Fit(NamedTuple):
    """Where training ended. `loss` and `error` are over the whole training set, without an
    adversary, at the final weights."""

    loss: float
    error: float
    epochs: int
    """Passes over the training set, the last of them perhaps in part."""
    steps: int
    samples: int
    """Samples seen, repeats counted."""
    stop_reason: str
    frontier: Frontier | None = None
    """The result of the search for the most robust fit; None after plain training."""


def train(
    program: Program,
    groups: Sequence[StackGroup],
    configs: Sequence[Config],
    start: Checkpoint | None = None,
    keep: Callable[[Checkpoint], None] = lambda _: None,
) -> list[Fit | TrialFailure]:
    """Train every model of the program, in place, and return where each ended.

    The models lie group after group, equally many in each. configs: one per model. The groups'
    sample counts, batch sizes, kinds of target, boxes, adversaries, optimisers and intervals
    between looks at the stop rule must agree. A model that has met its rule leaves the stack, and
    its module keeps the weights of that moment. A model whose loss is not finite leaves the stack
    with TrialFailure("nan") in place of a Fit.

    keep: called with the state after every epoch. start: a state that `keep` received, from which
    training resumes.

    Raise ValueError when stop rule `noise` meets labels without noise, or when an adversary starts
    at random and a group has no generator for it.
    """
    _check_arguments(groups, configs)
    stack = RunningStack(program, groups, len(configs))
    batch_size = configs[0].samples_per_step
    steps_per_epoch = configs[0].steps_per_epoch
    adversary = adversary_of(configs[0])
    if start:
        stack.restore(start, steps_per_epoch)

    ends: dict[int, Fit | TrialFailure] = {}
    first_epoch = start.epoch + 1 if start else 1
    last_epoch = max(config.max_epochs for config in configs)
    for epoch in range(first_epoch, last_epoch + 1):
        stretches = stack.stretches(batch_size, adversary, configs[0].check_every)
        for figures in stretches:
            running = dict(zip(stack.models, figures, strict=True))
            ends |= _ended(running, stack, configs, epoch, ends)
            stack.write_back(set(ends))
            if len(ends) == len(configs):
                return [ends[model] for model in range(len(configs))]

        stack.drop(set(ends))
        keep(stack.checkpoint(epoch))
    raise AssertionError("a model has passed its last epoch and has not ended")


def _ended(
    running: dict[int, Evaluation],
    stack: RunningStack,
    configs: Sequence[Config],
    epoch: int,
    before: Collection[int],
) -> dict[int, Fit | TrialFailure]:
    """Return the ends of the models that end here, in this epoch; `before`: those that have
    ended already."""
    epoch_is_whole = stack.steps_done == epoch * configs[0].steps_per_epoch
    ends: dict[int, Fit | TrialFailure] = {}
    due = []
    capped = set()
    for model, figures in running.items():
        if model in before:
            continue
        if not math.isfinite(figures.loss):
            when = f"epoch {epoch}" if epoch_is_whole else f"step {stack.steps_done}"
            ends[model] = _diverged(figures.loss, f"after {when}")
            continue
        if epoch_is_whole and epoch == configs[model].max_epochs:
            capped.add(model)
        lag = stack.lags.get(model)
        data = stack.group_of(model).data
        samples = stack.samples_behind
        if model in capped or may_be_met(figures, samples, lag, data, configs[model]):
            due.append(model)

    for model, figures in zip(due, stack.evaluate(due), strict=True):
        config = configs[model]
        stack.lags[model] = _lag(figures, running[model])
        reason = stop_reason(figures, stack.group_of(model).data, config)
        if not math.isfinite(figures.loss):
            ends[model] = _diverged(figures.loss, "at the final weights")
        elif reason or model in capped:
            ends[model] = Fit(
                figures.loss,
                figures.error,
                epoch,
                stack.steps_done,
                _samples_seen(stack.steps_done, config),
                reason or "epoch_cap",
            )
    return ends


def _samples_seen(steps: int, config: Config) -> int:
    """Return the samples of that many steps. The last step of an epoch may have fewer."""
    epochs, further = divmod(steps, config.steps_per_epoch)
    return epochs * config.n + further * config.samples_per_step


def _check_arguments(groups: Sequence[StackGroup], configs: Sequence[Config]) -> None:
    """Raise ValueError when a stop rule or an adversary lacks what it needs."""
    per_group = len(configs) // len(groups)
    for model, config in enumerate(configs):
        if config.stop == "noise" and not groups[model // per_group].data.noise.epsilon:
            raise ValueError(
                "stop 'noise' needs labels with injected noise; add some, or use stop 'interpolate'"
                " or 'epochs'"
            )

    adversary = adversary_of(configs[0])
    if adversary and adversary.random_start and not all(group.starts for group in groups):
        raise ValueError(
            "adversary 'pgd' begins at random: every group needs `starts`, the generator of the"
            " stream 'adversary'"
        )


def _lag(exact: Evaluation, running: Evaluation) -> Evaluation:
    """Return the exact figures divided by the running ones; 0 where a running figure is 0."""
    loss = exact.loss / running.loss if running.loss else 0.0
    error = exact.error / running.error if running.error else 0.0
    return Evaluation(loss, error)


def _diverged(loss: float, when: str) -> TrialFailure:
    return TrialFailure("nan", f"the training loss is {loss} {when}")
