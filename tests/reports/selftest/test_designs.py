"""The designs of the self-test are the shipped sweeps, and what fits in them is what fitted in the
example stores.

Run alone: python -m pytest tests/reports/selftest/test_designs.py
"""

import numpy as np
import pandas as pd
import pytest

from harness.planning.plan import Cell, cost_cells
from harness.sweeps.sweep import load_sweep
from reports.evidence import read_evidence
from reports.selftest.designs import DESIGNS
from reports.selftest.rows import design_rows, store_of
from tests import ROOT

BY_NAME = {design.name: design for design in DESIGNS}
EXAMPLES = ROOT / "reports" / "examples"
MISSED = {"mnist-law-60k": {(1, "noise", 0.48, 1000, 3931)}, "gpt-law-noise": set()}
"""Cells past the onset that enter no fit in an example store: a seed stopped above the noise."""


def cells(trials: pd.DataFrame) -> set[tuple[object, ...]]:
    """Return outputs, stop rule, ε, n and p of every cell."""
    epsilon = trials["epsilon"].round(6)
    return set(
        zip(trials["outputs"], trials["stop_rule"], epsilon, trials["n"], trials["p"], strict=True)
    )


def level(cell: Cell) -> float:
    """The noise of a planned cell: its share of changed labels, or its amplitude on the sphere."""
    changed = ("label_flip", "label_resample", "target_resample")
    return max(cell.config.get(name, 0) for name in (*changed, "noise"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sphere-law", "mnist-law", "quickstart"])
def test_the_cells_are_those_of_the_sweep(name):
    planned = sorted(
        (c.task, c.n, c.d_ambient, c.p, c.config["stop"], level(c), c.seeds)
        for c in cost_cells(load_sweep(name)).cells
        if c.config.get("frontier") is None  # a search, which enters no slope
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
@pytest.mark.parametrize("name", MISSED)
def test_the_cells_that_are_and_that_fit_are_those_of_the_example_store(name):
    measured = read_evidence(EXAMPLES / name).trials
    planted = store_of(BY_NAME[name], np.random.default_rng(0), rough=False).trials
    assert cells(measured) == cells(planted)
    assert len(measured) == len(planted)
    fitted = cells(planted[planted["in_fit"]])
    assert cells(measured[measured["in_fit"]]) == fitted - MISSED[name]
    assert MISSED[name] <= fitted


@pytest.mark.slow
def test_a_rough_store_loses_trials_and_begins_some_curves_later():
    even, rough = (
        store_of(BY_NAME["quickstart"], np.random.default_rng(3), rough) for rough in (False, True)
    )
    assert len(even.trials) == len(design_rows(BY_NAME["quickstart"]))
    assert 0 < len(rough.failures) < 0.1 * len(even.trials)
    assert rough.trials["whole"].sum() < even.trials["whole"].sum() - 2 * len(rough.failures)
