"""How long trials and runs take, worked out by hand for grid-up machines.

Run alone: python -m pytest tests/planning/test_times.py
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.planning import batches as batches_module
from harness.planning.batches import _stack_member
from harness.planning.costs import Cost
from harness.planning.model_shape import shape_of
from harness.planning.times import Planned, StackTotals, TrialTimes, side_by_side, wall_seconds
from harness.sweeps.registry import TaskRef
from harness.sweeps.trial import Batch
from tests.planning.grids import (
    ADVERSARIES,
    SPHERE,
    mnist,
    planned,
    seconds_alone,
    shape,
    text,
    trials,
)
from tests.planning.machines import KNOWN, LIKE_A_LAPTOP


def test_an_adversarys_passes_take_their_time():
    """By hand: a pass costs the step's fixed part, its own FLOPs and its activations, and no
    optimiser."""
    step = Cost(fixed=1e-3, per_flop=1e-9, per_number=1e-6, per_model=0.0, per_byte=1e-9)
    machine = LIKE_A_LAPTOP._replace(alone=step, stacked=step)
    natural, *others = (
        mnist(n=640, width=8, stop="epochs", max_epochs=3, **kind) for kind in ADVERSARIES
    )
    before = seconds_alone(natural[0], machine, 0)
    for (trial,), passes in zip(others, (1, 1, 5, 6), strict=True):
        one = shape(trial)
        assert (
            one.pass_flops_per_sample == 4 * 8 * (784 + 1)
            and one.flops_per_sample == 4 * 784 * 8 + 6 * 8
        )
        a_pass = 1e-3 + 64 * 1e-9 * (one.pass_flops_per_sample + one.saved_bytes_per_sample)
        assert seconds_alone(trial, machine, 0) - before == pytest.approx(3 * 10 * passes * a_pass)


def test_equal_trials_alone_are_each_as_dear():
    grid = trials(SPHERE, seeds=range(5))
    assert len({seconds_alone(t, LIKE_A_LAPTOP) for t in grid}) == 1


def test_seconds_alone_by_hand():
    (trial,) = trials(SPHERE, n=100, batch_size=30, stop="epochs", max_epochs=7)
    assert seconds_alone(trial, KNOWN) == pytest.approx(4 * 7, abs=0.01), "four steps an epoch"
    (trial,) = trials(SPHERE, n=100, batch_size=1000, stop="epochs", max_epochs=7)
    assert seconds_alone(trial, KNOWN) == pytest.approx(7, abs=0.01)


def test_looks_between_the_epochs_ends_take_their_time():
    """By hand: at .3 of the looks the whole set is evaluated, which takes half of what training on
    it takes, and no fixed seconds."""
    machine = LIKE_A_LAPTOP._replace(alone=Cost(1e-3, 1e-9, 0.0, 0.0, 1e-9))
    (rare,) = trials(SPHERE, n=640, batch_size=64, max_epochs=1)
    (often,) = trials(SPHERE, n=640, batch_size=64, max_epochs=1, check_every=2)
    more = seconds_alone(often, machine, 0) - seconds_alone(rare, machine, 0)
    one = shape(rare)
    a_pass = 640 * 1e-9 * (one.flops_per_sample + one.saved_bytes_per_sample)
    assert more == pytest.approx(10 * 0.3 / 2 * 0.5 * a_pass)


def test_the_last_batch_of_an_epoch_counts_as_long_as_it_is():
    machine = LIKE_A_LAPTOP._replace(alone=Cost(0.0, 1e-3, 0.0, 0.0))
    (trial,) = trials(SPHERE, n=100, batch_size=64, stop="epochs", max_epochs=1)
    flops = 100 * shape(trial).flops_per_sample
    assert seconds_alone(trial, machine, 0) == pytest.approx(1e-3 * flops, rel=1e-4)


def test_a_stack_costs_its_longest_trials_steps_where_models_cost_nothing(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(batches_module, "BATCH_S", (1e6, 1e6))
    grid = trials(SPHERE, n=64, stop="epochs", max_epochs=[2, 5], width=[8, 9])
    (plan,) = planned([*grid, *trials(SPHERE, n=64, stop="epochs", max_epochs=20, width=8)], KNOWN)
    assert [len(stack) for stack in plan.batch.stacks] == [5]
    assert plan.seconds == pytest.approx(20, abs=0.02)


def test_what_a_model_costs_is_paid_for_its_own_epochs():
    machine = KNOWN._replace(alone=Cost(3.0, 0, 0, 0), stacked=Cost(1.0, 0, 0, 0.25))
    (plan,) = planned(trials(SPHERE, n=64, stop="epochs", max_epochs=[2, 6], width=8), machine)
    assert plan.seconds == pytest.approx(6 * 1.0 + 0.25 * (2 + 6), abs=0.02)


def test_measuring_is_paid_for_unless_nothing_is_measured():
    machine = KNOWN._replace(measuring=Cost(50.0, 0, 0, 0))
    (trial,) = trials(SPHERE, n=64, stop="epochs", max_epochs=7)
    assert seconds_alone(trial, machine, points=256) == pytest.approx(57, abs=0.01)
    assert seconds_alone(trial, machine, points=0) == pytest.approx(7, abs=0.01)


def test_convolutions_cost_what_convolutions_cost():
    machine = KNOWN._replace(convolution_alone=Cost(4.0, 0, 0, 0))
    (cnn,) = mnist(n=64, stop="epochs", max_epochs=7, model="cnn")
    (mlp,) = mnist(n=64, stop="epochs", max_epochs=7, model="mlp")
    assert seconds_alone(cnn, machine) == pytest.approx(28, abs=0.01)
    assert seconds_alone(mlp, machine) == pytest.approx(7, abs=0.01)


@pytest.mark.slow
def test_attention_costs_what_attention_costs():
    machine = KNOWN._replace(attention_alone=Cost(4.0, 0, 0, 0))
    trial = text(n=64, stop="epochs", max_epochs=7, width=8)
    assert seconds_alone(trial, machine, points=0) == pytest.approx(28, abs=0.01)


@pytest.mark.slow
def test_measuring_a_vocabulary_has_a_cost_of_its_own():
    machine = KNOWN._replace(vocabulary=Cost(3.0, 1e-9, 0, 0), measuring=Cost(1e9, 0, 0, 0))
    trial = text(n=64, stop="epochs", max_epochs=1, width=8)
    measuring = seconds_alone(trial, machine, points=100) - seconds_alone(trial, machine, points=0)
    flops = shape_of(TaskRef("text"), trial.load_config()).flops_per_sample
    assert measuring == pytest.approx(3.0 + 1e-9 * 100 * flops)


def test_a_stack_whose_points_are_too_many_is_measured_in_several_programs():
    """By hand: 16 numbers of 4 bytes on 1 000 points are 64 kB a model, and a GPU's points may take
    a 1 600th of its memory."""
    machine = KNOWN._replace(measuring=Cost(10.0, 0, 0, 1.0))
    members = [_stack_member(trial) for trial in trials(SPHERE, n=64, d=16, seeds=range(6))]
    for gpu_bytes, programs in ((1e15, 1), (1600 * 128_000, 3), (1600, 6)):
        measured, unmeasured = (
            TrialTimes(machine, points, gpu_bytes).stacked(StackTotals.of(members))
            for points in (1000, 0)
        )
        assert measured - unmeasured == pytest.approx(10.0 * programs + 6.0)


def test_batches_wait_for_their_share_of_the_gpus():
    shares = [1.0, 0.5, 0.5, 0.5]
    planned = [Planned(Batch((), gpus=share), 4.0) for share in shares]
    assert wall_seconds(planned, 16, 1.0, gpus=1.0) == pytest.approx(12.0)
    assert wall_seconds(planned, 16, 1.0, gpus=2.0) == pytest.approx(8.0)
    assert wall_seconds(planned, 1, 1.0, gpus=2.0) == pytest.approx(16.0)


def lasting(*seconds: float) -> list[Planned]:
    return [Planned(Batch(()), s) for s in seconds]


@pytest.mark.parametrize(
    ("seconds", "slots", "slowdown", "expected"),
    [
        ([5.0], 1, 2.0, 5.0),
        ([5.0], 4, 2.0, 5.0),  # nobody else is busy
        ([3.0, 2.0, 1.0], 1, 2.0, 6.0),
        ([3.0, 2.0, 1.0], 2, 1.0, 3.0),
        ([3.0, 2.0, 1.0], 3, 1.0, 3.0),
        ([3.0, 2.0, 1.0], 9, 1.5, 4.5),
        ([4.0, 3.0, 3.0, 2.0], 2, 1.0, 6.0),
        ([2.0, 2.0, 2.0], 2, 1.25, 5.0),
        ([3.0, 3.0, 2.0, 2.0, 2.0], 2, 1.0, 7.0),  # greedy, not best
        ([1.0, 1.0], 0, 1.0, 2.0),
    ],
)
def test_schedules_by_hand(seconds: list[float], slots: int, slowdown: float, expected: float):
    assert wall_seconds(lasting(*seconds), slots, slowdown) == pytest.approx(expected)
    slowed = side_by_side(lasting(*seconds), slots, slowdown)
    assert wall_seconds(slowed, slots, slowdown=1.0) == pytest.approx(expected), "as the bar counts"


SECONDS = st.lists(st.floats(0, 100), min_size=1, max_size=20)


@pytest.mark.slow
@given(SECONDS, st.integers(1, 8), st.floats(1, 3))
def test_a_schedule_is_between_the_best_and_one_worker(
    seconds: list[float], slots: int, slowdown: float
):
    wall = wall_seconds(lasting(*sorted(seconds, reverse=True)), slots, slowdown)
    assert max(max(seconds), sum(seconds) / slots) <= wall * (1 + 1e-9) + 1e-9
    assert wall <= sum(seconds) * slowdown * (1 + 1e-9) + 1e-9
