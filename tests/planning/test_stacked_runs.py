"""What is planned to run as one stack runs so, shares its data, and gives what each trial alone
gives."""

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


@over(CHANGES, "case")
def test_trials_that_differ_in_how_they_train_share_a_stack_and_its_data(
    case: tuple[dict[str, Any], int],
):
    fields, data_sets = case
    made = trials(TOY, **{"n": 16, "max_epochs": 3, "batch_size": 8, **fields})
    (plan,) = planned(made, PADDING_IS_FREE)
    assert [len(stack) for stack in plan.batch.stacks] == [len(made)]
    seen: list[int] = sys.modules[type(load(TOY)).__module__].__dict__["MADE"]
    begin = next(FRESH_SEEDS)
    fresh = Batch(
        (tuple(Trial(t.trial_id, t.ref, t.config, begin + t.seed) for t in plan.batch.trials),)
    )
    seen.clear()
    columns = run_batch(
        fresh,
        RunSettings(
            cpus=1, gpus=0, seconds=60, weights_bytes=0, measure_points=0, checkpoints=None
        ),
    )
    assert [c["status"] for c in columns] == ["ok"] * len(made)
    assert len(seen) == data_sets == len({c["data_hash"] for c in columns})
    assert {c["stack_size"] for c in columns} == {len(made)}


def test_as_stacked_so_alone():
    made = trials(
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
    given = RunSettings(
        cpus=1, gpus=0, seconds=60, weights_bytes=10**6, measure_points=4, checkpoints=None
    )
    (plan,) = planned(made, PADDING_IS_FREE)
    together = dict(
        zip([t.trial_id for t in plan.batch.trials], run_batch(plan.batch, given), strict=True)
    )
    for trial in made:
        (alone,) = run_batch(Batch(((trial,),)), given)
        mine = together[trial.trial_id]
        assert (mine["stack_size"], alone["stack_size"]) == (16, 1) and mine.keys() == alone.keys()
        for name in (
            "status",
            "p",
            "n",
            "epochs",
            "steps",
            "stop_reason",
            "data_hash",
            "flops",
            "train_error",
        ):
            assert mine[name] == alone[name], name
        for name in ("train_loss", "test_loss", "stability_attack_mean", "lip_lower_grad"):
            assert mine[name] == pytest.approx(alone[name], rel=1e-4), name
