"""Training that was cut off goes on as if it had not been, bit for bit."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.task import Config, Seeds
from harness.training.loop import Checkpoint, StackGroup, train
from harness.training.stack import stack
from tasks.models import mlp
from tests.training.checkpoint_files import checkpoint_in
from tests.training.interrupted_training import (
    CPU,
    EPOCHS,
    MODELS,
    Training,
    assert_equal_bits,
    samples,
)
from tests.training.test_loop import Recorder
from tests.training.toy_models import seeded

pytestmark = pytest.mark.usefixtures("checkpoints_always_due")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("cuts", [[1], [3], [EPOCHS - 1], [1, 2, 4]], ids=str)
def test_training_that_was_cut_off_ends_bit_for_bit_as_one_that_was_not(
    model: str, cuts: list[int], tmp_path: Path
):
    whole = Training(model)
    expected = whole.go()
    kept = checkpoint_in(tmp_path)
    for cut in cuts:
        Training(model).until(cut, kept, kept.load(CPU))
    start = kept.load(CPU)
    assert start is not None and start.epoch == cuts[-1]
    again = Training(model)
    assert again.go(start) == expected
    assert_equal_bits(again.state(), whole.state())


@pytest.mark.parametrize("model", ["mlp", "mlp of classes", "cnn"])
@pytest.mark.parametrize(
    "adversary",
    [{"adversary": "fgsm"}, {"adversary": "pgd", "adversary_steps": 3}],
    ids=["fgsm", "pgd"],
)
def test_training_against_an_adversary_goes_on_bit_for_bit_too(
    model: str, adversary: dict[str, Any], tmp_path: Path
):
    about = {**adversary, "adversary_radius": 0.3}
    whole, natural = Training(model, **about), Training(model)
    expected = whole.go()
    assert natural.go() != expected
    kept = checkpoint_in(tmp_path)
    for cut in (2, 4):
        Training(model, **about).until(cut, kept, kept.load(CPU))
    again = Training(model, **about)
    assert again.go(kept.load(CPU)) == expected
    assert_equal_bits(again.state(), whole.state())


def test_the_next_epochs_see_the_order_that_they_would_have_seen(tmp_path: Path):
    def training() -> Training:
        made = Training("mlp")
        x = torch.arange(18.0)[:, None]
        made.module, made.data = seeded(Recorder), dataclasses.replace(made.data, x_train=x)
        return made

    whole, begun, gone_on, kept = training(), training(), training(), checkpoint_in(tmp_path)
    whole.go()
    begun.until(2, kept)
    gone_on.go(kept.load(CPU))
    seen: list[Any] = [t.module.seen for t in (whole, begun, gone_on)]
    assert seen[1] + seen[2] == seen[0] and len(seen[1]) == 2 * 18


@pytest.mark.parametrize("stop", ["noise", "interpolate"])
def test_a_stop_rule_is_met_when_it_would_have_been(stop: str, tmp_path: Path):
    whole, kept = Training("mlp", stop=stop, max_epochs=500), checkpoint_in(tmp_path)
    expected = whole.go()
    assert 3 < expected.epochs < 500
    Training("mlp", stop=stop, max_epochs=500).until(expected.epochs - 1, kept)
    again = Training("mlp", stop=stop, max_epochs=500)
    assert again.go(kept.load(CPU)) == expected
    assert_equal_bits(again.state(), whole.state())


def test_a_whole_stack_goes_on_exactly_too():
    def lot() -> tuple[list[nn.Module], list[StackGroup], list[Config]]:
        modules = [
            seeded(lambda width=width: mlp(6, width, 1, 1), i)
            for i, width in enumerate([8, 3, 5, 8, 3, 5])
        ]
        rows = [
            StackGroup(samples(1, (6,), seed), Seeds(seed).generator("order"), lr)
            for seed, lr in ((0, 1e-2), (1, 3e-3))
        ]
        return modules, rows, [Training("mlp").config] * 6

    def go(modules: list[nn.Module], *more: Any) -> Any:
        return train(stack(modules, samples(1, (6,)).x_train[:4]), *more)

    modules, rows, configs = lot()
    kept: list[Checkpoint] = []
    expected = go(modules, rows, configs)

    def keep(state: Checkpoint) -> None:
        if state.epoch == 3:
            kept.append(
                copy.deepcopy(
                    state._replace(
                        parameters={name: t.detach() for name, t in state.parameters.items()}
                    )
                )
            )

    go(*lot(), None, keep)
    again, rows, configs = lot()
    assert go(again, rows, configs, kept[0]) == expected
    for mine, its in zip(again, modules, strict=True):
        assert_equal_bits(mine.state_dict(), its.state_dict())
