"""Which trials run together: every one once, stacked where the calibration says that it pays,
longest first.

Run alone: python -m pytest tests/planning/test_batches.py
"""

import functools
import itertools
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.planning.batches import Planned
from harness.planning.costs import Calibration, Cost
from harness.planning.times import wall_seconds
from harness.sweeps.trial import Batch, Trial
from tests.planning.grids import (
    ADVERSARIES,
    SPHERE,
    SWEEPS,
    TOY,
    WIDTHS,
    mnist,
    planned,
    row_of,
    seconds_alone,
    shape,
    stacks,
    trials,
)
from tests.planning.machines import KNOWN, MACHINES, PADDING_IS_FREE, STACKING_IS_DEAR


@functools.cache
def grid_of(sweep: str) -> list[Trial]:
    return SWEEPS[sweep]()


@functools.cache
def plan_of(sweep: str, machine: str) -> list[Planned]:
    """Return the plan, made once for all tests that look at it."""
    return planned(grid_of(sweep), MACHINES[machine])


@pytest.mark.slow
@pytest.mark.parametrize("sweep", SWEEPS)
@pytest.mark.parametrize("machine", MACHINES)
class TestEveryPlan:
    def test_every_trial_is_in_one_batch(self, sweep: str, machine: str):
        planned_trials = [t.trial_id for p in plan_of(sweep, machine) for t in p.batch.trials]
        assert Counter(planned_trials) == Counter(t.trial_id for t in grid_of(sweep))

    def test_the_same_trials_give_the_same_batches(self, sweep: str, machine: str):
        again = planned(list(grid_of(sweep)), MACHINES[machine])
        assert again == plan_of(sweep, machine)

    def test_the_longest_batch_is_first(self, sweep: str, machine: str):
        seconds = [p.seconds for p in plan_of(sweep, machine)]
        assert seconds == sorted(seconds, reverse=True) and min(seconds) >= 0

    def test_a_stack_holds_one_family_and_one_number_of_samples(self, sweep: str, machine: str):
        for stack in stacks(plan_of(sweep, machine)):
            if len(stack) > 1:
                alike = {
                    (
                        t.ref,
                        shape(t).family,
                        shape(t).input_shape,
                        shape(t).outputs,
                        t.config["n"],
                        t.config["batch_size"],
                    )
                    for t in stack
                }
                assert len(alike) == 1

    def test_a_stacks_rows_are_a_rectangle(self, sweep: str, machine: str):
        for stack in stacks(plan_of(sweep, machine)):
            if len(stack) > 1:
                rows = [list(row) for _, row in itertools.groupby(stack, key=row_of)]
                assert len({tuple(shape(t).sizes for t in row) for row in rows}) == 1, (
                    "every row has the same sizes in the same order"
                )
                assert len({row_of(row[0]) for row in rows}) == len(rows), "a row lies together"

    def test_a_batch_is_never_dearer_than_its_trials_alone(self, sweep: str, machine: str):
        for p in plan_of(sweep, machine):
            if p.seconds:
                alone = [seconds_alone(t, MACHINES[machine]) for t in p.batch.trials]
                assert p.seconds <= sum(alone) * (1 + 1e-9)

    def test_a_model_of_a_stack_fits_into_the_largest(self, sweep: str, machine: str):
        for stack in stacks(plan_of(sweep, machine)):
            if len(stack) > 1:
                largest = max((shape(t) for t in stack), key=lambda s: s.p)
                for t in stack:
                    pairs = zip(shape(t).sizes, largest.sizes, strict=True)
                    assert all(
                        a <= b for mine, its in pairs for a, b in zip(mine, its, strict=True)
                    )


def test_nothing_to_run_is_no_batch():
    assert planned([]) == [] and wall_seconds([], 4, 1.5) == 0.0


def test_a_broken_model_is_a_batch_of_its_own_at_the_end():
    plan = planned(trials(TOY, kind=["broken", "plain", "exits"], width=[4, 8]))
    broken = [p for p in plan if p.batch.trials[0].config["kind"] != "plain"]
    assert [len(p.batch.trials) for p in broken] == [1] * 4 and [p.seconds for p in broken] == [
        0.0
    ] * 4
    assert plan[-4:] == broken


@pytest.mark.slow
def test_a_stack_has_one_adversary():
    kinds = [
        mnist(width=[4, 8], stop="epochs", max_epochs=3, seeds=range(2), **kind)
        for kind in ADVERSARIES
    ]
    found = stacks(planned(list(itertools.chain(*kinds)), PADDING_IS_FREE, 0))
    assert sorted(sorted(t.trial_id for t in stack) for stack in found) == sorted(
        sorted(t.trial_id for t in kind) for kind in kinds
    )


def test_a_narrow_net_is_not_padded_to_a_wide_one_where_that_costs_more():
    grid = mnist(width=[4, 1024], n=4000, stop="epochs", max_epochs=20, seeds=range(4))
    assert all(len({t.config["width"] for t in stack}) == 1 for stack in stacks(planned(grid)))


def test_neighbouring_widths_share_a_stack_where_that_pays():
    grid = mnist(width=[4, 5, 6, 1000, 1024], stop="epochs", max_epochs=3, seeds=range(2))
    together = {frozenset(t.config["width"] for t in stack) for stack in stacks(planned(grid))}
    assert frozenset({4, 5, 6}) in together
    assert not any({6, 1000} <= widths for widths in together)


def test_all_widths_share_a_stack_where_padding_is_free():
    grid = trials(SPHERE, width=WIDTHS, stop="epochs", max_epochs=3, seeds=range(2))
    assert [len(stack) for stack in stacks(planned(grid, PADDING_IS_FREE, 0))] == [10]


@pytest.mark.slow
def test_nothing_is_stacked_where_that_is_dear():
    grid = SWEEPS["everything"]()
    assert all(len(stack) == 1 for stack in stacks(planned(grid, STACKING_IS_DEAR)))


def test_sizes_of_which_neither_holds_the_other_are_not_padded_to_one_another():
    grid = trials(TOY, width=[4, 64], other=[4, 64])
    for stack in stacks(planned(grid, PADDING_IS_FREE)):
        sizes = {(t.config["width"], t.config["other"]) for t in stack}
        assert not {(4, 64), (64, 4)} <= sizes


def test_a_batch_of_several_is_planned_to_leave_its_time_limit_alone():
    grid = trials(SPHERE, n=256, width=[8, 9], stop="epochs", max_epochs=50, seeds=range(60))
    machine = KNOWN._replace(alone=Cost(1e-3, 0, 0, 0), stacked=Cost(1e-3, 0, 0, 1e-4))
    hasty, patient = (planned(grid, machine, seconds_per_trial=limit) for limit in (0.8, 4000.0))
    assert len(hasty) > len(patient) > 1
    assert max(p.seconds for p in hasty) < 0.8 / 2


def test_small_trials_are_put_together_until_they_are_worth_a_workers_while():
    grid = trials(SPHERE, n=[16 + k for k in range(60)], width=4, stop="epochs", max_epochs=1)
    plan = planned(grid, STACKING_IS_DEAR, points=0)
    assert len(plan) == 1 and len(plan[0].batch.stacks) == 60
    assert plan[0].seconds == pytest.approx(
        sum(seconds_alone(t, STACKING_IS_DEAR, 0) for t in grid)
    )


def test_a_long_trial_waits_for_nobody():
    (long,) = trials(SPHERE, n=4096, stop="epochs", max_epochs=500)
    grid = [*trials(SPHERE, n=[16, 17, 18], width=4, stop="epochs", max_epochs=1), long]
    assert planned(grid)[0].batch == Batch(((long,),))


RULES = st.sampled_from(["noise", "interpolate", "epochs"])
COSTS = st.builds(
    Cost,
    st.floats(0, 1e-2),
    st.floats(0, 1e-10),
    st.floats(0, 1e-7),
    st.floats(0, 1e-2),
    st.floats(0, 1e-8),
)

GRID = st.fixed_dictionaries(
    {
        "width": st.lists(st.sampled_from([1, 4, 5, 64, 512]), min_size=1, max_size=4, unique=True),
        "depth": st.lists(st.sampled_from([1, 2]), min_size=1, max_size=2, unique=True),
        "n": st.lists(st.sampled_from([32, 128]), min_size=1, max_size=2, unique=True),
        "lr": st.lists(st.sampled_from([1e-3, 1e-2]), min_size=1, max_size=2, unique=True),
        "stop": st.lists(RULES, min_size=1, max_size=2, unique=True),
        "seeds": st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True),
    }
)


@pytest.mark.slow
@settings(max_examples=60)
@given(
    fields=GRID,
    costs=st.lists(COSTS, min_size=9, max_size=9),
    points=st.sampled_from([0, 256]),
    drawn=st.data(),
)
def test_on_any_machine_every_trial_runs_once_and_no_batch_is_dearer_than_its_trials(
    fields: dict[str, Any], costs: list[Cost], points: int, drawn: st.DataObject
):
    grid = trials(SPHERE, **fields)
    some = drawn.draw(
        st.lists(st.sampled_from(grid), min_size=1, unique_by=lambda t: t.trial_id),
        label="some of the grid",
    )
    machine = Calibration(*costs, slowdown=1.0)
    plan = planned(some, machine, points)
    assert Counter(t.trial_id for p in plan for t in p.batch.trials) == Counter(
        t.trial_id for t in some
    )
    for p in plan:
        assert p.seconds <= sum(seconds_alone(t, machine, points) for t in p.batch.trials) * (
            1 + 1e-9
        )
    assert torch.tensor([p.seconds for p in plan]).isfinite().all()
