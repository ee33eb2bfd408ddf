"""The designs of the self-test are the shipped sweeps, and what fits in them is what fitted in the
example stores.

Run alone: python -m pytest tests/reports/selftest/test_designs.py
"""

import numpy as np
import pytest

from harness.planning.plan import Cell, cost_cells
from harness.sweeps.sweep import load_sweep
from reports.evidence import read_evidence
from reports.selftest.designs import DESIGNS
from reports.selftest.rows import design_rows, store_of
from tests import ROOT

BY_NAME = {design.name: design for design in DESIGNS}
EXAMPLES = ROOT / "reports" / "examples"
OF_KIND = ["outputs", "stop_rule", "epsilon", "n", "p"]


def level(cell: Cell) -> float:
    """The noise of a planned cell: its share of changed labels, or its amplitude on the sphere."""
    changed = ("label_flip", "label_resample", "target_resample")
    return max(cell.config.get(name, 0) for name in (*changed, "noise"))


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_NAME)
def test_the_cells_are_those_of_the_sweep(name):
    planned = sorted(
        (c.task, c.n, c.d_ambient, c.p, c.config["stop"], level(c), c.seeds)
        for c in cost_cells(load_sweep(name)).cells
    )
    seeds: dict[tuple[object, ...], int] = {}
    for kind in BY_NAME[name].kinds:
        noise = kind.settings.get("noise", kind.row.get("eta"))
        for curve in kind.curves:
            for p in curve.sizes:
                cell = (kind.row["task"], curve.n, curve.d, p, kind.row["stop_rule"], noise)
                seeds[cell] = seeds.get(cell, 0) + curve.seeds
    assert sorted((*cell, count) for cell, count in seeds.items()) == planned


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist-law-60k", "gpt-law"])
def test_the_cells_that_fit_are_those_of_the_example_store(name):
    measured = read_evidence(EXAMPLES / name).trials
    planted = store_of(BY_NAME[name], np.random.default_rng(0), rough=False).trials
    fitted = [
        {(*row[:2], round(row[2], 6), *row[3:]) for row in t.loc[t["in_fit"], OF_KIND].to_numpy()}
        for t in (measured, planted)
    ]
    lost = measured[~measured["complete"]]
    lost_cells = {(*row[:2], round(row[2], 6), *row[3:]) for row in lost[OF_KIND].to_numpy()}
    assert fitted[0] == fitted[1] - lost_cells


def test_a_rough_store_loses_trials_and_begins_some_curves_later():
    even, rough = (
        store_of(BY_NAME["quickstart"], np.random.default_rng(3), rough) for rough in (False, True)
    )
    assert len(even.trials) == len(design_rows(BY_NAME["quickstart"]))
    assert 0 < len(rough.failures) < 0.1 * len(even.trials)
    assert rough.trials["whole"].sum() < even.trials["whole"].sum() - 2 * len(rough.failures)
