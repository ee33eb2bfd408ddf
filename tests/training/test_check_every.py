"""How often the stop rule is looked at: training ends in the midst of an epoch, at the step that it
names, in a stack as alone.

Run alone: python -m pytest tests/training/test_check_every.py
"""

import copy
import itertools
import math
from typing import Any

import pytest
import torch

from harness.errors import TrialFailure
from harness.task import Config, Seeds
from harness.training.alone import Alone
from harness.training.evaluation import Evaluation, evaluate
from harness.training.loop import Fit, StackGroup, train
from harness.training.stack import stack
from harness.training.stop_rules import may_be_met
from tasks.models import mlp
from tests.training.toy_models import D, assert_same_weights, data, seeded

N = 100
BATCH = 16
STEPS = math.ceil(N / BATCH)


def config(**fields: Any) -> Config:
    return Config.model_validate(
        {"n": N, "batch_size": BATCH, "max_epochs": 300, "lr": 0.05, **fields}
    )


def group(fields: Config, seed: int = 0) -> StackGroup:
    return StackGroup.of(fields, data(seed, 10, n=N), Seeds(seed))


def fitted(module: torch.nn.Module, fields: Config, seed: int = 0) -> Fit:
    (fit,) = train(Alone(module), [group(fields, seed)], [fields])
    assert isinstance(fit, Fit) and fit.stop_reason == "below_noise"
    return fit


def stepped(module: torch.nn.Module, fields: Config, seed: int) -> tuple[int, float]:
    """Take one step at a time, look at all samples after each, and return the steps and the error
    at the first step below the level."""
    shared = group(fields, seed)
    level = shared.data.noise.level - shared.data.noise.epsilon
    adam = torch.optim.Adam(module.parameters(), lr=fields.lr)
    batches: tuple[torch.Tensor, ...] = ()
    for step in itertools.count():
        if step % STEPS == 0:
            batches = torch.randperm(N, generator=shared.order).split(BATCH)
        batch = batches[step % STEPS]
        adam.zero_grad()
        output = module(shared.data.x_train[batch])
        torch.nn.functional.cross_entropy(output, shared.data.y_train[batch]).backward()
        adam.step()
        (found,) = evaluate(Alone(module), [shared.data])
        if found.error <= level:
            return step + 1, found.error
    raise AssertionError


@pytest.mark.slow
def test_training_ends_at_the_first_step_below_the_level():
    fields = config(check_every=1)
    ends = []
    for seed in (1, 2, 3):
        module = seeded(lambda: mlp(D, 64, 1, 10))
        reference = copy.deepcopy(module)
        fit = fitted(module, fields, seed)
        assert (fit.steps, fit.error) == stepped(reference, fields, seed)
        assert_same_weights(module, reference)

        epochs, further = divmod(fit.steps, STEPS)
        assert fit.epochs == epochs + bool(further)
        assert fit.samples == epochs * N + further * BATCH
        ends.append((fit, fitted(seeded(lambda: mlp(D, 64, 1, 10)), config(), seed)))

    assert any(fit.steps % STEPS for fit, _ in ends), "an end within an epoch"
    for fit, by_epoch in ends:
        assert by_epoch.steps % STEPS == 0 and fit.steps <= by_epoch.steps
        assert fit.error >= by_epoch.error


@pytest.mark.slow
def test_models_of_a_stack_end_where_they_would_alone():
    fields = [config(check_every=2), config(check_every=2, lr=0.03)]
    widths = (64, 40)
    modules = [seeded(lambda w=w: mlp(D, w, 1, 10), i) for i, w in enumerate(widths * 2)]
    copies = copy.deepcopy(modules)
    alone = [fitted(m, fields[i // 2], seed=i // 2) for i, m in enumerate(copies)]

    groups = [group(one, seed) for seed, one in enumerate(fields)]
    program = stack(modules, groups[0].data.x_train[:4])
    together = train(program, groups, [one for one in fields for _ in widths])
    assert [(f.steps, f.samples, f.error) for f in together if isinstance(f, Fit)] == [
        (f.steps, f.samples, f.error) for f in alone
    ]
    assert len({f.steps for f in alone}) > 1
    for module, expected in zip(modules, copies, strict=True):
        assert_same_weights(module, expected, atol=1e-3)


def test_a_loss_that_diverges_within_an_epoch_says_after_which_step():
    absurd = config(check_every=3).model_copy(update={"lr": 1e38})
    module = seeded(lambda: mlp(D, 8, 1, 10))
    (failed,) = train(Alone(module), [group(absurd)], [absurd])
    assert isinstance(failed, TrialFailure) and failed.kind == "nan"
    assert str(failed).endswith("after step 3")


@pytest.mark.parametrize(
    ("error", "samples", "is_near"),
    [
        (0.36, 10_000, False),
        (0.36, 10, True),
        (0.194, 10_000, True),
        (0.196, 10_000, False),
    ],
)
def test_a_look_costs_no_pass_where_the_error_is_clearly_above_twice_the_level(
    error: float, samples: int, is_near: bool
):
    """The level is .09. A share of 10 000 samples has a standard error of at most .005."""
    training = data(0, 10, n=N)
    running = Evaluation(loss=9.0, error=error)
    assert may_be_met(running, samples, None, training, config(check_every=1)) is is_near


@pytest.mark.parametrize(("samples", "is_near"), [(100, False), (50, True)])
def test_a_look_costs_no_pass_where_the_loss_is_clearly_above_twice_the_level(
    samples: int, is_near: bool
):
    """The level is .32, and the loss four times that: twice the level is half of the loss, three
    standard errors below it for 72 samples."""
    training = data(0, 1, n=N)
    running = Evaluation(loss=1.28, error=0.5)
    assert may_be_met(running, samples, None, training, config(check_every=1)) is is_near
