"""What is planted is what the report finds: exactly without scatter, and with the scatter that was
asked for.

Run alone: python -m pytest tests/reports/selftest/test_planting.py
"""

import numpy as np
import pandas as pd
import pytest

from reports.evidence import Evidence, fit_rows, read_evidence
from reports.fits.slope import fit_slope
from reports.measures import STABILITY
from reports.selftest.designs import QUICKSTART, SPHERE_LAW, Design, Spread
from reports.selftest.planting import TYPICAL, layout_of, plant
from reports.selftest.rows import design_rows, store_of
from reports.selftest.truths import TRUTHS, Truth
from tests.reports.stores import make_store

NOTHING = Spread(0, 0, 0, 0, 0)


def with_spread(design: Design, spread: Spread) -> Design:
    return design._replace(kinds=tuple(kind._replace(spread=spread) for kind in design.kinds))


@pytest.fixture(scope="module")
def quickstart() -> Evidence:
    return store_of(QUICKSTART, np.random.default_rng(0), rough=False)


@pytest.mark.slow
@pytest.mark.parametrize("truth", [t for t in TRUTHS if t.slope is not None], ids=lambda t: t.name)
def test_without_scatter_the_fitted_slope_is_the_planted_one(quickstart: Evidence, truth: Truth):
    layout = layout_of(quickstart.trials, with_spread(QUICKSTART, NOTHING))
    trials = plant(quickstart.trials, layout, truth, np.random.default_rng(0), rough=False)
    pure = next(kind for kind in trials["kind"].unique() if "pure noise" in kind)
    assert fit_slope(fit_rows(trials, pure), STABILITY).slope == pytest.approx(
        truth.slope, abs=1e-9
    )


@pytest.mark.slow
@pytest.mark.parametrize("part", Spread._fields)
def test_each_part_of_the_scatter_has_its_standard_deviation(part: str):
    design = with_spread(SPHERE_LAW, NOTHING._replace(**{part: 0.1}))
    trials = store_of(design, np.random.default_rng(0), rough=False).trials
    layout = layout_of(trials, design)
    nothing = TRUTHS[-1]
    found = []
    for draw in range(20):
        planted = plant(trials, layout, nothing, np.random.default_rng(draw), rough=False)
        log_y = pd.Series(np.log(planted[STABILITY].to_numpy(float)), index=planted.index)
        if part == "slope":
            x = pd.Series(np.log(planted["p"].to_numpy(float)), index=planted.index)
            along = x - x.groupby(planted["curve"]).transform("mean")
            of_curve = (log_y * along).groupby(planted["curve"]).sum() / (along**2).groupby(
                planted["curve"]
            ).sum()
            found += list(of_curve)
        else:
            by = {"level": ["curve"], "cell": ["cell"], "shared": ["curve", "seed"]}
            names = by.get(part, ["trial_id"])
            groups = (log_y - np.log(TYPICAL)).groupby([planted[name] for name in names])
            assert groups.std().fillna(0).max() < 1e-9
            found += list(groups.mean())
    assert np.std(found) == pytest.approx(0.1, rel=0.12)


@pytest.mark.slow
def test_planting_after_reading_equals_reading_a_store_with_the_planted_values(
    quickstart: Evidence, tmp_path
):
    truth = TRUTHS[0]
    layout = layout_of(quickstart.trials, QUICKSTART)
    planted = plant(quickstart.trials, layout, truth, np.random.default_rng(5), rough=False)
    values = planted.set_index("trial_id")
    rows = [
        row
        | {column: values.at[row["trial_id"], column] for column in (STABILITY, "test_accuracy")}
        for row in design_rows(QUICKSTART)
    ]
    trials = read_evidence(make_store(tmp_path / "store", rows)).trials
    for kind in trials["kind"].unique():
        direct = fit_slope(fit_rows(planted, kind), STABILITY)
        read = fit_slope(fit_rows(trials, kind), STABILITY)
        np.testing.assert_equal((direct.slope, direct.low), (read.slope, read.low))
