"""Shares of GPUs: what a share is, and which share the planner gives to which cell. No GPU is
used.

Run alone: python -m pytest tests/planning/test_gpu_shares.py
"""

import pytest

from harness.errors import UserError
from harness.planning import plan, room
from harness.planning.batches import Gpus, make_batches
from harness.planning.gpus import max_gpus
from harness.planning.plan import cost_cells, refuse_what_cannot_fit
from harness.sweeps import gpu_shares
from harness.sweeps.registry import load
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.terminal.listing import plan_table
from tests.planning.machines import LIKE_A_LAPTOP


def sweep(resources: str, tasks: str = "[{task: sphere}]") -> Sweep:
    return parse_sweep(
        f"name: a\nseeds: {{range: [0, 40]}}\nresources: {{{resources}}}\ntasks: {tasks}\n",
        "sweep.yaml",
    )


# What a share is


@pytest.mark.parametrize(("gpus", "most", "steps"), [
    (1 / 16, 1, [1 / 8, 1 / 4, 1 / 2, 1.0]),
    (0.25, 1, [0.5, 1.0]),
    (0.3333, 1, [0.5, 1.0]),
    (0.0588, 1, [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0]),
    (0.5, 8, [1.0, 2.0, 4.0, 8.0]),
    (1, 6, [2.0, 4.0, 6.0]),
    (3, 8, [4.0, 8.0]),
    (8, 8, []),
    (16, 8, []),
])  # fmt: skip
def test_the_next_larger_shares(gpus: float, most: int, steps: list[float]):
    shares = []
    share = gpu_shares.next_share(gpus, most)
    while share:
        shares.append(share)
        share = gpu_shares.next_share(share, most)
    assert shares == steps


def test_as_many_shares_fit_into_one_gpu_as_their_name_says():
    for parts in range(1, 101):
        share = gpu_shares.rounded(round(1 / parts, 4))
        assert share is not None
        counted = round(share * 10_000)  # as Ray counts
        assert counted == pytest.approx(share * 10_000)
        assert parts * counted <= 10_000 < (parts + 1) * counted
        assert parts == 1 or gpu_shares.named(share) == f"1/{parts} GPU"


@pytest.mark.parametrize("value", [0.3, 0.4, 0.6, 0.75, 0.99, 0.001, 5e-324])
def test_other_fractions_are_no_shares(value: float):
    assert gpu_shares.rounded(value) is None


def test_processes_that_share_a_gpu_fit_with_their_contexts():
    for gpu_bytes in (8e9, 24e9, 80e9):
        assert gpu_shares.allocator_fraction(1.0, gpu_bytes) == 1.0
        for parts in (2, 4, 16):
            filled = gpu_shares.allocator_fraction(1 / parts, gpu_bytes) * gpu_bytes
            together = parts * (filled + gpu_shares.CONTEXT_BYTES)
            assert filled == 0 or together <= gpu_bytes * (1 + 1e-9)


# What the planner gives


SPHERES = (
    "[{task: sphere, seeds: [0], fixed: {n: 64, d: 16, depth: 2, stop: epochs}, grid: {width: [8,"
    " 4096, 8192, 16384, 32768]}}]"
)


@pytest.mark.slow
def test_every_cell_gets_the_smallest_share_that_holds_it():
    cells = cost_cells(sweep("gpus: auto, gpu_memory_gb: 24", SPHERES)).cells
    assert [c.config["width"] for c in cells] == [8, 4096, 8192, 16384, 32768]
    for cell in cells:
        held = [s for s in (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0) if cell.memory_bytes <= 24e9 * s]
        assert cell.gpus == min(held)
    shares = [1 / 16, 1 / 16, 1 / 8, 1 / 4, 1.0]
    assert [c.gpus for c in cells] == shares, "32768² parameters in four copies are 17 GB"


def test_a_cell_that_no_gpu_holds_is_refused_with_its_figures():
    asked = sweep("gpus: auto, gpu_memory_gb: 16", SPHERES)
    message = (
        r"1 of 5 cells cannot fit: the largest, sphere with p = 1,074,\d+,\d+, needs about"
        r" 17\.\d GB on one"
    )
    with pytest.raises(UserError, match=message):
        refuse_what_cannot_fit(cost_cells(asked).cells, asked, here=False)


def test_auto_without_a_word_on_the_gpus_asks_for_it(monkeypatch):
    monkeypatch.setattr(room.torch.cuda, "is_available", lambda: False)
    asked = sweep("gpus: auto")
    with pytest.raises(UserError, match="write it as resources.gpu_memory_gb"):
        cost_cells(asked)


def test_only_language_models_may_be_given_several_gpus():
    message = (
        r"sweep.yaml:3: 'resources.gpus' is 2, and a trial of the task 'sphere' uses at most 1"
    )
    with pytest.raises(UserError, match=message):
        sweep("gpus: 2")
    trial = sweep("gpus: 1").trials[0]
    assert max_gpus(load(trial.ref), 8) == 1


def test_small_batches_keep_to_their_own_share_and_the_largest_comes_first():
    asked = sweep(
        "gpus: auto, gpu_memory_gb: 24", SPHERES.replace("seeds: [0]", "seeds: [0, 1, 2]")
    )
    planned = make_batches(asked.trials, LIKE_A_LAPTOP, 0, 600, 24e9, Gpus(24e9, 8))
    shares = [p.batch.gpus for p in planned]
    assert shares == sorted(shares, reverse=True)
    assert set(shares) == {1 / 16, 1 / 8, 1 / 4, 1.0}
    by_width = {(t.config["width"], p.batch.gpus) for p in planned for t in p.batch.trials}
    assert {w: g for w, g in by_width if w > 4096} == {8192: 1 / 8, 16384: 1 / 4, 32768: 1.0}
    assert sorted(t.trial_id for p in planned for t in p.batch.trials) == sorted(
        t.trial_id for t in asked.trials
    )


def test_without_gpus_nothing_has_a_share_and_the_longest_comes_first():
    asked = sweep("cpus: 1", SPHERES)
    planned = make_batches(asked.trials, LIKE_A_LAPTOP, 0, 600)
    assert {p.batch.gpus for p in planned} == {0.0}
    assert [p.seconds for p in planned] == sorted((p.seconds for p in planned), reverse=True)


def test_the_plan_says_who_gets_how_much_and_how_the_gpu_is_filled():
    asked = sweep("gpus: auto, gpu_memory_gb: 24", SPHERES.replace(", 32768", ""))
    planned = plan.plan(asked, print)
    assert sum(planned.batches_by_gpus.values()) == planned.batches > 0
    table = plan_table(planned)
    (share, count), *_ = planned.batches_by_gpus.items()
    assert "alone on" in table and f" {count} batches with {share} each." in table
    assert planned.gpu_use and planned.gpu_use in table
    assert "alone on" not in plan_table(plan.plan(sweep("cpus: 1"), print))
