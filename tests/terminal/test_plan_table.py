"""The table of a plan: every cell of a small one, the two ends of a large one.

Run alone: python -m pytest tests/terminal/test_plan_table.py
"""

from pathlib import Path

import pytest

from harness.planning.plan import Cell, Plan
from harness.sweeps import sweep as sweep_module
from harness.sweeps.sweep import load_sweep, parse_sweep
from harness.terminal.listing import MANY_CELLS, SHOWN_CELLS, plan_table


def cell(width: int) -> Cell:
    return Cell(
        task="sphere",
        config={"width": width, "depth": 1},
        seeds=1,
        p=width,
        p_frozen=0,
        n=10,
        d_ambient=3,
        tokens_distinct=10,
        params_per_token=width / 10,
        p_over_nd=width / 30,
        tokens_seen_at_most=100,
        steps_at_most=10,
        flops_at_most=float(width),
        memory_bytes=10**9,
        gpus=0.0,
    )


def plan_of(cells: int) -> Plan:
    # the dearest first, as a sweep may list them
    made = [cell(width) for width in range(cells, 0, -1)]
    return Plan("big", made, [], cells, 0, 1, 1, {}, 0, 0, 0, None, 1.0, 1.0, 1.0, 1.0)


@pytest.mark.slow
def test_the_longest_batch_is_said_in_words():
    table = plan_table(plan_of(1)._replace(longest_batch_seconds=7800.0))
    assert "The sweep says" not in table
    assert "The longest batch takes 2 h 10 min, the most that a lost worker costs" in table


def widths(table: str) -> list[int]:
    words = [word for line in table.splitlines() for word in line.split()]
    return [int(word.removeprefix("width=")) for word in words if word.startswith("width=")]


@pytest.mark.slow
def test_a_small_plan_is_printed_whole_in_the_sweeps_order():
    assert widths(plan_table(plan_of(MANY_CELLS))) == list(range(MANY_CELLS, 0, -1))


@pytest.mark.slow
def test_a_large_plan_shows_its_ends_and_how_to_see_the_rest():
    many = MANY_CELLS + 1
    table = plan_table(plan_of(many))
    cheapest = list(range(1, SHOWN_CELLS + 1))
    dearest = list(range(many - SHOWN_CELLS + 1, many + 1))
    assert widths(table) == [*cheapest, *dearest]
    assert f"of {many}; --all prints every one." in table
    assert f"big: {many} cells" in table
    assert len(widths(plan_table(plan_of(many), every_cell=True))) == many


SWEEP = """
name: big
seeds: {range: [0, 10]}
tasks: [{task: sphere, fixed: {n: 16}, grid: {width: [2, 4]}}]
"""


def test_a_large_sweep_says_at_once_what_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "big.yaml").write_text(SWEEP)
    said: list[str] = []
    monkeypatch.setattr(sweep_module, "MANY_TRIALS", 21)
    load_sweep(str(tmp_path / "big.yaml"), say=said.append)
    assert said == []

    def expanded(*_: object):
        raise AssertionError(f"said: {said}")

    monkeypatch.setattr(sweep_module, "MANY_TRIALS", 20)
    monkeypatch.setattr(sweep_module.EntryCells, "trials", expanded)
    with pytest.raises(AssertionError, match="20 trials: to list and plan them takes at least"):
        load_sweep(str(tmp_path / "big.yaml"), say=said.append)


def test_a_plan_says_what_the_sweep_says_about_itself():
    """Such as what was left out of a full grid."""
    table = plan_table(plan_of(1)._replace(description="Two seeds: a third was dropped."))
    assert table.endswith("\nThe sweep says: Two seeds: a third was dropped.")
    loaded = parse_sweep(
        "name: a\ndescription: >\n  Two seeds:\n  a third was dropped.\nseeds: [0]\ntasks:\n"
        "  - task: sphere\n    fixed: {n: 8, d: 2}\n",
        "a.yaml",
        {},
    )
    assert loaded.description == "Two seeds: a third was dropped."
