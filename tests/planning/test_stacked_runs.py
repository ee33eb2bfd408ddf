"""What is planned to run as one stack runs so, shares its data, and gives what each trial alone
gives.

Run alone: python -m pytest tests/planning/test_stacked_runs.py
"""

import itertools
import sys
from typing import Any

import pytest

from harness.execution.run_batch import run_batch
from harness.sweeps.registry import load
from harness.sweeps.trial import Batch, RunSettings, Trial
from tests.planning.grids import TOY, over, planned, trials
from tests.planning.machines import PADDING_IS_FREE

CHANGES = {
    "seeds": (dict(seeds=(0, 1)), 2),
    "learning rates": (dict(lr=[1e-3, 2e-3, 3e-3]), 1),
    "stop rules": (dict(stop=["noise", "interpolate", "epochs"]), 1),
    "caps": (dict(max_epochs=[2, 3]), 1),
    "learning rates and caps": (dict(lr=[1e-3, 2e-3], max_epochs=[2, 3]), 1),
    "widths": (dict(width=[4, 5]), 1),
    "what no data depend on": (dict(start=[1.0, 2.0]), 1),
    "data": (dict(scale=[1.0, 2.0]), 2),
    "both": (dict(scale=[1.0, 2.0], lr=[1e-3, 2e-3], seeds=(0, 1)), 4),
}

FRESH_SEEDS = itertools.count(1000, 1000)
"""Seeds that this process has made no data for."""

SETTINGS = RunSettings(
    cpus=1, gpus=0, seconds=60, weights_bytes=0, measure_points=0, checkpoints=None
)


@pytest.mark.slow
@over(CHANGES, "case")
def test_trials_that_differ_in_how_they_train_share_a_stack_and_its_data(
    case: tuple[dict[str, Any], int],
):
    fields, data_sets = case
    grid = trials(TOY, **{"n": 16, "max_epochs": 3, "batch_size": 8, **fields})
    (plan,) = planned(grid, PADDING_IS_FREE)
    assert [len(stack) for stack in plan.batch.stacks] == [len(grid)]

    begin = next(FRESH_SEEDS)
    fresh = tuple(Trial(t.trial_id, t.ref, t.config, begin + t.seed) for t in plan.batch.trials)
    seeds_of_data: list[int] = sys.modules[type(load(TOY)).__module__].__dict__["MADE"]
    seeds_of_data.clear()
    columns = [result.columns for result in run_batch(Batch((fresh,)), SETTINGS)]

    assert [c["status"] for c in columns] == ["ok"] * len(grid)
    assert len(seeds_of_data) == data_sets == len({c["data_hash"] for c in columns})
    assert {c["stack_size"] for c in columns} == {len(grid)}


EQUAL = (
    "status",
    "p",
    "n",
    "epochs",
    "steps",
    "stop_reason",
    "data_hash",
    "flops",
    "train_error",
)
CLOSE = ("train_loss", "test_loss", "stability_attack_mean", "lip_lower_grad")


@pytest.mark.slow
def test_as_stacked_so_alone():
    grid = trials(
        TOY,
        n=16,
        batch_size=8,
        max_epochs=5,
        stop="epochs",
        width=[4, 6],
        lr=[1e-3, 1e-2],
        scale=[1.0, 2.0],
        seeds=(0, 1),
    )
    settings = SETTINGS._replace(weights_bytes=10**6, measure_points=4)
    (plan,) = planned(grid, PADDING_IS_FREE)
    ids = [t.trial_id for t in plan.batch.trials]
    stacked = dict(zip(ids, run_batch(plan.batch, settings), strict=True))

    # every third of the sixteen: each value of each field, and its pairs with those of the others
    for trial in grid[::3]:
        (result,) = run_batch(Batch(((trial,),)), settings)
        alone = result.columns
        together = stacked[trial.trial_id].columns
        assert (together["stack_size"], alone["stack_size"]) == (16, 1)
        assert together.keys() == alone.keys()
        for name in EQUAL:
            assert together[name] == alone[name], name
        for name in CLOSE:
            assert together[name] == pytest.approx(alone[name], rel=1e-4), name
