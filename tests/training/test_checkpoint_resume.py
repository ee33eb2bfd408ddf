"""Interrupted training resumes as if it had not been interrupted, bit for bit.

Run alone: python -m pytest tests/training/test_checkpoint_resume.py
"""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.errors import TrialFailure
from harness.task import Seeds
from harness.training.checkpoint import TrialCheckpoint
from harness.training.loop import Checkpoint, Fit, StackGroup, train
from harness.training.stack import stack
from tasks.models import mlp
from tests.training.checkpoint_files import any_trial, checkpoint_in
from tests.training.interrupted_training import (
    CPU,
    EPOCHS,
    MODELS,
    Training,
    assert_equal_bits,
    samples,
)
from tests.training.toy_models import Recorder, seeded

pytestmark = pytest.mark.usefixtures("checkpoints_always_due")


def resumed_after(
    cuts: Sequence[int], checkpoint: TrialCheckpoint, model: str, **fields: Any
) -> tuple[Training, Any]:
    """Cut a training off after each of these epochs, resume it from its checkpoint, and return it
    with its outcome."""
    for cut in cuts:
        Training(model, **fields).until(cut, checkpoint, checkpoint.load(CPU))
    start = checkpoint.load(CPU)
    assert start is not None and start.epoch == cuts[-1]

    resumed = Training(model, **fields)
    return resumed, resumed.go(start)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("cuts", [[1], [3], [EPOCHS - 1], [1, 2, 4]], ids=str)
def test_interrupted_training_ends_bit_for_bit_as_if_uninterrupted(
    model: str, cuts: list[int], tmp_path: Path
):
    uninterrupted = Training(model)
    expected = uninterrupted.go()

    resumed, outcome = resumed_after(cuts, checkpoint_in(tmp_path), model)
    assert outcome == expected
    assert_equal_bits(resumed.state(), uninterrupted.state())


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "mlp of classes", "cnn"])
@pytest.mark.parametrize(
    "adversary",
    [{"adversary": "fgsm"}, {"adversary": "pgd", "adversary_steps": 3}],
    ids=["fgsm", "pgd"],
)
def test_training_against_an_adversary_resumes_bit_for_bit_too(
    model: str, adversary: dict[str, Any], tmp_path: Path
):
    fields = {**adversary, "adversary_radius": 0.3}
    uninterrupted = Training(model, **fields)
    expected = uninterrupted.go()
    without_adversary = Training(model)
    assert without_adversary.go() != expected

    checkpoint = checkpoint_in(tmp_path)
    resumed, outcome = resumed_after((2, 4), checkpoint, model, **fields)
    assert outcome == expected
    assert_equal_bits(resumed.state(), uninterrupted.state())


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "mlp of classes", "tied"])
@pytest.mark.parametrize(
    "fields",
    [
        {"optimiser": "sgd"},
        {"optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.1},
        {"optimiser": "adamw", "weight_decay": 0.5},
        {"warmup_steps": 23},
        {"stop": "noise", "max_epochs": 500, "check_every": 2},
    ],
    ids=str,
)
def test_every_recipe_resumes_bit_for_bit_too(model: str, fields: dict[str, Any], tmp_path: Path):
    """An epoch has five steps, so the warm-up ends after both interruptions."""
    uninterrupted = Training(model, **fields)
    expected = uninterrupted.go()
    assert expected.epochs > 4
    assert Training(model).go() != expected

    checkpoint = checkpoint_in(tmp_path, any_trial(**uninterrupted.config.plain()))
    resumed, outcome = resumed_after((2, 4), checkpoint, model, **fields)
    assert outcome == expected
    assert_equal_bits(resumed.state(), uninterrupted.state())


def test_the_next_epochs_see_the_order_that_they_would_have_seen(tmp_path: Path):
    def recorded() -> tuple[Training, Recorder]:
        training = Training("mlp")
        recorder = Recorder()
        training.module = recorder
        training.data = dataclasses.replace(training.data, x_train=torch.arange(18.0)[:, None])
        return training, recorder

    uninterrupted, all_seen = recorded()
    uninterrupted.go()

    checkpoint = checkpoint_in(tmp_path)
    cut_off, seen_before = recorded()
    cut_off.until(2, checkpoint)
    resumed, seen_after = recorded()
    resumed.go(checkpoint.load(CPU))

    assert len(seen_before.seen) == 2 * 18
    assert seen_before.seen + seen_after.seen == all_seen.seen


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["noise", "interpolate"])
def test_a_stop_rule_is_met_when_it_would_have_been(stop: str, tmp_path: Path):
    uninterrupted = Training("mlp", stop=stop, max_epochs=500)
    expected = uninterrupted.go()
    assert 3 < expected.epochs < 500

    checkpoint = checkpoint_in(tmp_path)
    Training("mlp", stop=stop, max_epochs=500).until(expected.epochs - 1, checkpoint)
    start = checkpoint.load(CPU)
    assert start is not None and start.epoch == expected.epochs - 1

    resumed = Training("mlp", stop=stop, max_epochs=500)
    assert resumed.go(start) == expected
    assert_equal_bits(resumed.state(), uninterrupted.state())


def stacked_models() -> list[nn.Module]:
    """Return two groups of three widths."""
    widths = [8, 3, 5, 8, 3, 5]
    return [seeded(lambda width=width: mlp(6, width, 1, 1), i) for i, width in enumerate(widths)]


def train_stack(
    modules: list[nn.Module],
    start: Checkpoint | None = None,
    keep: Callable[[Checkpoint], None] = lambda _: None,
) -> list[Fit | TrialFailure]:
    groups = [
        StackGroup(samples(1, (6,), seed), Seeds(seed).generator("order"), lr)
        for seed, lr in ((0, 1e-2), (1, 3e-3))
    ]
    program = stack(modules, samples(1, (6,)).x_train[:4])
    return train(program, groups, [Training("mlp").config] * len(modules), start, keep)


def test_a_whole_stack_resumes_exactly_too():
    uninterrupted = stacked_models()
    expected = train_stack(uninterrupted)

    states: dict[int, Checkpoint] = {}

    def keep(state: Checkpoint) -> None:
        weights = {name: p.detach() for name, p in state.parameters.items()}
        states[state.epoch] = copy.deepcopy(state._replace(parameters=weights))

    train_stack(stacked_models(), keep=keep)
    resumed = stacked_models()
    assert train_stack(resumed, start=states[3]) == expected
    for module, other in zip(resumed, uninterrupted, strict=True):
        assert_equal_bits(module.state_dict(), other.state_dict())
