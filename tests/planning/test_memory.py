"""How much memory a stack is planned to take: by hand, and never more than it may.

Run alone: python -m pytest tests/planning/test_memory.py
"""

import pytest

from harness.planning import batches as batches_module
from harness.planning.memory import PROCESS_BYTES, alone_bytes, stack_bytes
from harness.planning.model_shape import Shape
from harness.planning.resolved import ResolvedTrial, resolve
from harness.sweeps.registry import load
from harness.sweeps.trial import Trial
from harness.task import Config
from tests.planning.grids import SPHERE, planned, row_of, stacks, trials
from tests.planning.machines import PADDING_IS_FREE
from tests.planning.shapes import shape_with


@pytest.mark.parametrize("cap", [10**6, 3 * 10**6, 10**7])
def test_a_stack_takes_no_more_memory_than_it_may(cap: int, monkeypatch: pytest.MonkeyPatch):
    grid = trials(SPHERE, width=[8, 9, 10, 512], seeds=range(20), stop="epochs", max_epochs=3)
    monkeypatch.setattr(batches_module, "CPU_STACK_BYTES", cap)
    monkeypatch.setattr(batches_module, "BATCH_S", (1e6, 1e6))
    assert_within(cap, stacks(planned(grid, PADDING_IS_FREE)))


def test_a_stack_takes_no_more_than_half_of_what_its_worker_has_left(
    monkeypatch: pytest.MonkeyPatch,
):
    grid = trials(SPHERE, width=[8, 9, 10, 512], seeds=range(20), stop="epochs", max_epochs=3)
    monkeypatch.setattr(batches_module, "BATCH_S", (1e6, 1e6))
    room = 10**6
    plan = planned(grid, PADDING_IS_FREE, memory_bytes=PROCESS_BYTES + 2 * room)
    assert_within(room, stacks(plan))
    crowded = planned(grid, PADDING_IS_FREE, memory_bytes=1)
    assert all(len(stack) == 1 for stack in stacks(crowded)) and len(stacks(crowded)) == len(grid)


def assert_within(cap: int, found: list[tuple[Trial, ...]]) -> None:
    shared = [stack for stack in found if len(stack) > 1]
    assert len(shared) > 1
    for stack in shared:
        groups = len({row_of(t) for t in stack})
        assert stack_bytes([resolve(t) for t in stack], groups) <= cap


def test_a_stack_holds_no_more_models_than_it_may(monkeypatch: pytest.MonkeyPatch):
    grid = trials(SPHERE, width=[8, 9, 10], seeds=range(30), stop="epochs", max_epochs=1)
    monkeypatch.setattr(batches_module, "CPU_STACK_TRIALS", 16)
    monkeypatch.setattr(batches_module, "BATCH_S", (1e6, 1e6))
    assert 3 <= max(len(stack) for stack in stacks(planned(grid, PADDING_IS_FREE))) <= 16


def with_shape(config: Config, shape: Shape) -> ResolvedTrial:
    """A sphere trial of this configuration whose model has this shape."""
    return ResolvedTrial(Trial("a", SPHERE, config.plain(), 0), load(SPHERE), config, shape)


def test_stack_bytes_by_hand():
    config = load(SPHERE).Config.model_validate({"n": 100, "d": 16, "batch_size": 20})
    one = shape_with(10)._replace(p_frozen=2, input_shape=(16,), saved_bytes_per_sample=7)
    two = one._replace(p=20, p_frozen=0, saved_bytes_per_sample=9)
    # float32; weights, gradients, two moments; two models padded to the larger
    weights = 4 * 4 * 2 * 20
    stack = [with_shape(config, one), with_shape(config, two)]
    assert stack_bytes(stack, groups=1) == weights + 9 * 200 + 3 * 4 * 100 * 16
    assert stack_bytes(stack, groups=2) == weights + 9 * 100 + 2 * 3 * 4 * 100 * 16

    moved = config.model_copy(update={"adversary": "fgsm", "adversary_radius": 0.1})
    stack = [with_shape(moved, one), with_shape(moved, two)]
    perturbed = 5 * 4 * 2 * 20 * 16
    assert stack_bytes(stack, groups=1) == weights + 9 * 200 + 3 * 4 * 100 * 16 + perturbed


def test_a_labelled_task_that_is_not_stacked_is_measured_on_all_its_points(
    monkeypatch: pytest.MonkeyPatch,
):
    """Only language models are measured on fewer points where memory is short."""
    config = load(SPHERE).Config.model_validate({"n": 1000, "d": 16})
    heavy = shape_with(10)._replace(input_shape=(16,), saved_bytes_per_sample=10**9)
    stacked = alone_bytes(with_shape(config, heavy))
    assert stacked > 1000 * 10**9

    monkeypatch.setattr(type(load(SPHERE)), "stackable", False)
    assert alone_bytes(with_shape(config, heavy)) == stacked
