"""What a sweep is said to cost: exact counts per cell, sums over trials, and cells that cannot
fit refused unbuilt.

Run alone: python -m pytest tests/planning/test_plan.py
"""

import math
from pathlib import Path

import pytest
import torch
from _pytest.mark import ParameterSet

from harness.errors import UserError
from harness.measures.counts import count_training_flops
from harness.planning.costs import Calibration, Cost
from harness.planning.devices import processor
from harness.planning.machine_speed import calibrated
from harness.planning.plan import cost_cells, plan, refuse_what_cannot_fit
from harness.planning.room import slots_here
from harness.planning.schedule import batches
from harness.planning.times import DATA_NUMBER_S, TRIAL_S
from harness.sweeps.point_counts import PointCounts
from harness.sweeps.registry import load, refs_in
from harness.sweeps.shipped import SHIPPED
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.training.adversary import count_pass_flops
from tests import FAILING_TASK

SMALL = """\
name: small
seeds: [0, 1, 2]
tasks:
  - task: sphere
    fixed: {n: 100, d: 5, batch_size: 30, max_epochs: 7}
    grid: {width: [2, 50], depth: [1, 3]}
  - task: sphere
    fixed: {n: 100, d: 5, batch_size: 30, max_epochs: 7, depth: 1}
    grid: {width: [50, 51]}
  - task: mnist
    fixed: {n: 20, head: digits, stop: epochs, max_epochs: 2, model: cnn}
    grid: {capacity: [1, 2]}
"""


POINTS = PointCounts().as_dear_as
"""Points for all instruments alike that take as long as the default ones."""


def sweep(text: str = SMALL) -> Sweep:
    return parse_sweep(text, "sweep.yaml", refs_in(FAILING_TASK))


def silent(line: str) -> None:
    raise AssertionError(f"the machine was timed: {line}")


@pytest.mark.slow
def test_cells_are_the_distinct_configurations_in_sweep_order():
    cells = cost_cells(sweep()).cells
    assert [
        (c.task, c.config.get("width"), c.config.get("depth"), c.seeds)
        for c in cells
        if c.task == "sphere"
    ] == [
        ("sphere", 2, 1, 3),
        ("sphere", 2, 3, 3),
        ("sphere", 50, 1, 3),
        ("sphere", 50, 3, 3),
        ("sphere", 51, 1, 3),
    ]
    assert [c.config["capacity"] for c in cells if c.task == "mnist"] == [1, 2]


@pytest.mark.slow
def test_counts_per_cell_are_exact():
    for cell, trial in zip(
        cost_cells(sweep()).cells, {str(t.config): t for t in sweep().trials}.values(), strict=True
    ):
        task, config = load(trial.ref), trial.load_config()
        model, shape = task.model(config), task.input_shape(config)
        assert cell.p == sum(p.numel() for p in model.parameters()) and cell.p_frozen == 0
        assert (cell.n, cell.tokens_distinct, cell.d_ambient) == (
            config.n,
            config.n,
            math.prod(shape),
        )
        assert cell.params_per_token == cell.p / config.n
        assert cell.tokens_seen_at_most == config.n * config.max_epochs
        assert (
            cell.steps_at_most
            == math.ceil(config.n / min(config.batch_size, config.n)) * config.max_epochs
        )
        assert (
            cell.flops_at_most == count_training_flops(model, shape) * config.n * config.max_epochs
        )


AGAINST = """\
name: against
seeds: [0]
tasks:
  - task: mnist
    fixed: {n: 20, head: digits, stop: epochs, max_epochs: 2, model: cnn}
  - task: mnist
    fixed: {n: 20, head: digits, stop: epochs, max_epochs: 2, model: cnn, adversary_radius: 0.3}
    grid: {adversary: [fgsm, pgd]}
"""


@pytest.mark.slow
def test_an_adversarys_passes_are_counted():
    natural, fgsm, pgd = cost_cells(sweep(AGAINST)).cells
    assert [c.config["adversary"] for c in (natural, fgsm, pgd)] == [
        None,
        "fgsm",
        "pgd",
    ], "cells can be compared field by field"
    task, config = load(sweep(AGAINST).trials[0].ref), sweep(AGAINST).trials[0].load_config()
    a_pass = 20 * 2 * count_pass_flops(task.model(config), (1, 28, 28))
    assert (
        fgsm.flops_at_most - natural.flops_at_most,
        pgd.flops_at_most - natural.flops_at_most,
    ) == (a_pass, 40 * a_pass)
    assert natural.p == fgsm.p == pgd.p and natural.memory_bytes < fgsm.memory_bytes


@pytest.mark.slow
def test_sums_are_over_trials():
    made = plan(sweep(), silent)
    calibration = calibrated(processor(1), silent)
    assert made.trials == sum(c.seeds for c in made.cells) == 3 * 7
    assert made.repeated == 3
    assert made.flops_at_most == sum(c.flops_at_most * c.seeds for c in made.cells)
    planned = batches(sweep(), sweep().trials, calibration)
    assert sorted(t.trial_id for p in planned for t in p.batch.trials) == sorted(
        t.trial_id for t in sweep().trials
    )
    stacks = [stack for p in planned for stack in p.batch.stacks if len(stack) > 1]
    assert (made.batches, made.stacks, made.stacked_trials) == (
        len(planned),
        len(stacks),
        sum(map(len, stacks)),
    )
    assert made.trial_seconds == pytest.approx(sum(p.seconds for p in planned))
    assert (
        max(p.seconds for p in planned)
        < made.longest_batch_seconds
        <= made.wall_seconds
        <= made.trial_seconds * calibration.slowdown
    )
    assert made.slots == slots_here(sweep()) >= 1


ONE = (
    "name: one\nseeds: [0]\ntasks:\n  - task: sphere\n    fixed: {n: 100, d: 5, batch_size: 30,"
    " stop: epochs, max_epochs: 7, width: 50}\n"
)


def test_a_slower_machine_and_more_epochs_take_longer():
    def seconds(epochs: int, calibration: Calibration) -> float:
        made = sweep(ONE.replace("max_epochs: 7", f"max_epochs: {epochs}"))
        (planned,) = batches(made, made.trials, calibration)
        return planned.seconds

    def machine(step: Cost, measuring: Cost) -> Calibration:
        steps = (step, step, step, step, step, step)
        return Calibration(*steps, measuring, measuring, step, slowdown=1.0)

    fast = machine(Cost(1e-4, 1e-10, 1e-9, 0), Cost(1e-2, 0, 1e-6, 0))
    slow = machine(Cost(2e-4, 2e-10, 2e-9, 0), Cost(2e-2, 0, 2e-6, 0))
    whatever = TRIAL_S + DATA_NUMBER_S * 100 * 5
    assert seconds(7, slow) - whatever == pytest.approx(2 * (seconds(7, fast) - whatever))
    few, many = (
        cost_cells(sweep(ONE.replace("max_epochs: 7", f"max_epochs: {epochs}"))).cells[0]
        for epochs in (7, 70)
    )
    assert many.flops_at_most == 10 * few.flops_at_most
    step = 1e-4 + 1e-10 * 25 * few.flops_at_most / few.tokens_seen_at_most + 1e-9 * few.p
    assert seconds(70, fast) - seconds(7, fast) == pytest.approx(63 * math.ceil(100 / 30) * step)
    assert seconds(7, fast) == pytest.approx(28 * step + 1e-2 + POINTS * 5 * 1e-6 + whatever)


def test_what_is_not_measured_takes_no_time():
    calibration = calibrated(processor(1), silent)
    without = sweep(ONE + "limits: {measure_points: 0}\n")
    seconds = [batches(s, s.trials, calibration)[0].seconds for s in (sweep(ONE), without)]
    assert seconds[0] - seconds[1] == pytest.approx(
        calibration.measuring.fixed + POINTS * 5 * calibration.measuring.per_number, rel=0.2
    )


def test_planning_leaves_the_thread_count_alone():
    before = torch.get_num_threads()
    plan(sweep(), silent)
    assert torch.get_num_threads() == before


HUGE = (
    "name: huge\nseeds: [0]\ntasks:\n  - task: sphere\n    fixed: {depth: 2}\n    grid: {width: [8,"
    " 1000000]}\n"
)


def test_a_trillion_parameters_are_refused_without_being_built():
    cells = cost_cells(sweep(HUGE)).cells
    assert cells[1].p == 17 * 10**6 + 10**6 * (10**6 + 1) + 10**6 + 1
    with pytest.raises(
        UserError,
        match=(
            "1 of 2 cells cannot fit: the largest, sphere with p = 1,000,019,000,001, needs about"
        ),
    ):
        refuse_what_cannot_fit(cells, sweep(HUGE), here=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gigabytes", "fits"), [(0.1, False), (0.5, False), (1.0, True), (100.0, True)]
)
@pytest.mark.parametrize("here", [True, False])
def test_memory_that_a_trial_may_use(gigabytes: float, fits: bool, here: bool):
    limited = sweep(SMALL + f"resources: {{memory_gb: {gigabytes}}}\n")
    if fits:
        refuse_what_cannot_fit(cost_cells(limited).cells, limited, here)
    else:
        with pytest.raises(
            UserError, match=rf"7 of 7 cells cannot fit.* and resources.memory_gb is {gigabytes} GB"
        ):
            refuse_what_cannot_fit(cost_cells(limited).cells, limited, here)


def test_a_clusters_nodes_are_not_known_beforehand():
    refuse_what_cannot_fit(cost_cells(sweep(HUGE)).cells, sweep(HUGE), here=False)


@pytest.mark.slow
def test_memory_grows_with_parameters_and_data():
    narrow, wide = (
        cost_cells(sweep(HUGE.replace("1000000", str(w)))).cells[1] for w in (1000, 2000)
    )
    assert wide.memory_bytes - narrow.memory_bytes >= 16 * (wide.p - narrow.p), (
        "weights, gradients and Adam's two moments"
    )
    few, many = (
        cost_cells(sweep(SMALL.replace("n: 100, d: 5", f"n: {n}, d: 5"))).cells[0]
        for n in (100, 1_000_100)
    )
    assert many.memory_bytes - few.memory_bytes >= 2 * 4 * 5 * 10**6


def shipped_sweeps() -> list[ParameterSet]:
    """Return the shipped sweeps. Counting the FLOPs of deep transformers takes a minute, and of
    many a tenth of one."""
    deep = ("gpt-ladder-cluster", "gpt-ladder-gpu", "frontier-gpt")
    return [
        pytest.param(path, id=path.stem, marks=[pytest.mark.soak] if path.stem in deep else [])
        for path in sorted(SHIPPED.glob("*.yaml"))
        if path.stem != "pretrained-ladder"  # tests/tasks/pretrained/test_ladder.py
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", shipped_sweeps())
def test_shipped_sweeps_fit_where_they_may_use_three_gigabytes(path: Path, hub: None):
    shipped = parse_sweep(path.read_text(), path.name)
    cells = cost_cells(shipped).cells
    refuse_what_cannot_fit(cells, shipped, here=not shipped.resources.gpus)
    # What attention keeps on a GPU is not known here: a fused kernel keeps no scores.
    known = [
        c.memory_bytes for c in cells if not (shipped.resources.gpus and c.task == "text-stream")
    ]
    assert max(known, default=0) <= (16e9 if shipped.resources.gpus else 3e9)
