"""How a GPU is filled, by made-up calibrations: by one process with large stacks, or shared by
several. No GPU is used.

Run alone: python -m pytest tests/planning/test_schedule.py
"""

import pytest

from harness.planning import room
from harness.planning import schedule as schedule_module
from harness.planning.costs import Calibration, Cost
from harness.planning.machine_speed import LARGE_GPU
from harness.planning.memory import stack_bytes
from harness.planning.resolved import resolve
from harness.planning.schedule import Schedule, schedule
from harness.sweeps.sweep import Sweep, parse_sweep

WAITS_FOR_ITS_CALLS = LARGE_GPU._replace(
    alone=Cost(1.2e-3, 0.0, 0.0, 0.0),
    stacked=Cost(1.5e-3, 0.0, 0.0, 1e-6),
    starting=Cost(0.02, 0.0, 0.0, 1e-5),
    slowdown=1.0,
)
"""A step of a thousand models takes hardly longer than that of one, and processes do not slow one
another down."""

NOT_TO_BE_SHARED = WAITS_FOR_ITS_CALLS._replace(slowdown=4.0)
"""Four processes take four times as long each."""


def sweep(tasks: str, resources: str = "gpus: auto, gpu_memory_gb: 80", seeds: int = 40) -> Sweep:
    return parse_sweep(
        f"name: a\nseeds: {{range: [0, {seeds}]}}\nlimits: {{measure_points: 0}}\n"
        f"resources: {{{resources}}}\ntasks: [{tasks}]\n",
        "sweep.yaml",
    )


SMALL = "{task: sphere, fixed: {n: 512, d: 16, stop: epochs, max_epochs: 500}, grid: {width: %s}}"
TWO_WIDTHS = sweep(SMALL % "[8, 16]")


def made(asked: Sweep, machine: Calibration) -> Schedule:
    return schedule(asked, asked.trials, machine)


def sizes(of: Schedule) -> list[int]:
    return sorted(len(stack) for p in of.planned for stack in p.batch.stacks)


@pytest.mark.slow
def test_one_process_fills_a_gpu_that_is_not_to_be_shared():
    filled = made(TWO_WIDTHS, NOT_TO_BE_SHARED)
    assert sizes(filled) == [80] and filled.slots == 1
    assert [p.batch.gpus for p in filled.planned] == [1.0]
    assert filled.gpu_use and filled.gpu_use.startswith("One process fills a GPU with large stacks")


@pytest.mark.slow
def test_processes_share_a_gpu_that_has_room_for_them():
    """Eight kinds of samples make eight stacks, each of which waits for its calls."""
    eight = sweep(", ".join(SMALL.replace("512", str(n)) % "[8]" for n in range(505, 513)))
    shared = made(eight, WAITS_FOR_ITS_CALLS)
    assert shared.slots == 8 and {p.batch.gpus for p in shared.planned} == {1 / 8}
    assert shared.gpu_use and shared.gpu_use.startswith("8 processes share a GPU, about")
    alone = made(eight, NOT_TO_BE_SHARED)
    assert alone.slots == 1 and alone.wall_seconds > 4 * shared.wall_seconds


def test_a_share_that_the_sweep_names_is_kept():
    named = made(sweep(SMALL % "[8]", "gpus: 0.25, gpu_memory_gb: 80"), WAITS_FOR_ITS_CALLS)
    assert {p.batch.gpus for p in named.planned} == {0.25} and named.slots == 4
    assert named.gpu_use == (
        "Each batch has 1/4 GPU, as resources.gpus says: 4 batches at a time on 1 GPU."
    )


@pytest.mark.slow
def test_stacks_of_a_thousand_on_a_gpu_and_no_more_than_its_memory_holds():
    many = sweep(SMALL % "[8, 9, 10]", seeds=350)
    assert sizes(made(many, NOT_TO_BE_SHARED)) == [len(many.trials)] == [1050]

    small = sweep(SMALL % "[8, 9, 10]", "gpus: auto, gpu_memory_gb: 0.61")
    for p in made(small, NOT_TO_BE_SHARED).planned:
        for stack in p.batch.stacks:
            groups = len({trial.seed for trial in stack})
            assert 2 * stack_bytes([resolve(t) for t in stack], groups) <= 0.01e9
            assert 1 < len(stack) < 120


def test_a_long_stack_is_not_cut_where_its_halves_take_as_long():
    """A step takes a millisecond, whatever is in it: 60 s whole, and 60 s each half."""
    machine = NOT_TO_BE_SHARED._replace(alone=Cost(1e-3, 0, 0, 0), stacked=Cost(1e-3, 0, 0, 0))
    asked = sweep("{task: sphere, fixed: {n: 64, d: 4, stop: epochs, max_epochs: 60000}}")
    (whole,) = made(asked, machine).planned
    assert len(whole.batch.trials) == 40 and 60 < whole.seconds < 75


def test_sizes_that_each_have_their_own_learning_rate_share_a_stack():
    """Each is a group of its own, as where `rate_width` makes the rate follow the width."""
    fixed = "n: 64, stop: epochs, max_epochs: 99"
    sized = [f"width: {width}, lr: {0.01 / width}" for width in (4, 8, 16)]
    entries = ", ".join(f"{{task: sphere, fixed: {{{fixed}, {one}}}}}" for one in sized)
    assert sizes(made(sweep(entries, seeds=2), NOT_TO_BE_SHARED)) == [6]


@pytest.mark.parametrize(
    ("resources", "gpus", "cores", "slots"),
    [
        ("cpus: 1", 0, 16, 16),
        ("cpus: 3", 0, 16, 5),
        ("cpus: 1, memory_gb: 20", 0, 16, 6),
        ("gpus: 1", 2, 16, 2),
        ("gpus: 0.25", 2, 16, 8),
        ("gpus: 0.0625, cpus: 2", 2, 16, 8),
        ("gpus: 0.25, memory_gb: 50", 2, 16, 2),
        ("gpus: 0.0625", 0, 2, 16),
    ],
)
def test_batches_at_a_time_by_cores_gpus_and_memory(
    resources: str, gpus: int, cores: int, slots: int, monkeypatch: pytest.MonkeyPatch
):
    for module in (room, schedule_module):
        monkeypatch.setattr(module, "gpus_here", lambda: gpus)
        monkeypatch.setattr(module, "cores_here", lambda: cores)
    monkeypatch.setattr(room, "machine_memory", lambda: 128e9)
    assert room.slots_here(sweep(SMALL % "[8]", resources)) == slots
