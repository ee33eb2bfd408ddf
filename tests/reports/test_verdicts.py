"""Verdicts by a slope's interval, and slopes that change their verdict with the filter.

Run alone: python -m pytest tests/reports/test_verdicts.py
"""

import numpy as np
import pandas as pd
import pytest

from reports.evidence import fit_rows, read_evidence
from reports.fits.slope import fit_slope
from reports.law import FILTERS, fit_all
from reports.measures import RADIUS, STABILITY
from reports.verdicts import judge, verdict_of
from tests.reports.stores import make_store, power_law, row

NS = (100, 200, 400)
PS = (100, 200, 400, 800, 1600, 3200, 6400, 12_800)


def slope(low, high):
    rows = pd.DataFrame(power_law(0.2, ns=(100, 200, 400)))
    rows = rows.assign(curve=rows["settings_json"], cell=rows["config_json"])
    return fit_slope(rows, STABILITY)._replace(slope=(low + high) / 2, low=low, high=high)


@pytest.mark.parametrize(
    ("low", "high", "sign", "verdict"),
    [
        (0.1, 0.2, +1, "compatible, order not attained"),
        (-0.3, -0.1, +1, "compatible, order not attained"),
        (0.4, 0.6, +1, "attains the law's order"),
        (0.3, 0.7, +1, "cannot tell"),
        (0.6, 0.7, +1, "steeper"),
        (-0.2, -0.1, -1, "compatible, order not attained"),
        (-0.6, -0.4, -1, "attains the law's order"),
        (-0.9, -0.4, -1, "cannot tell"),
        (-0.9, -0.6, -1, "steeper"),
    ],
)
def test_a_verdict_follows_the_interval(low, high, sign, verdict):
    one = slope(low, high)
    assert verdict_of(one, sign).startswith(verdict)
    assert judge({1: one, 2: one}, "no verdict: because", sign).verdict == "no verdict: because"


def test_a_verdict_that_hangs_on_the_filter_is_cannot_tell():
    found = judge({1: slope(0.45, 0.6), 2: slope(0.4, 0.6), 4: slope(0.1, 0.2)}, "", +1)
    assert found.verdict == (
        "cannot tell: the verdict hangs on the filter: attains the law's order from 1× and 2× the"
        " onset's p on, compatible, order not attained from 4× the onset's p on"
    )


def test_a_filter_that_leaves_too_little_to_tell_changes_no_verdict():
    found = judge({1: slope(0.1, 0.2), 8: slope(-0.5, 0.9)}, "", +1)
    assert found.verdict == "compatible, order not attained" and not found.flips


@pytest.mark.slow
def test_each_filter_fits_the_cells_from_its_multiple_of_the_onset_on(tmp_path):
    trials = read_evidence(make_store(tmp_path / "s", power_law(0.2, ps=PS, ns=NS))).trials
    kind = trials["kind"].iloc[0]
    smallest = [fit_rows(trials, kind, factor)["p"].min() for factor in FILTERS]
    assert smallest == [200, 200, 400, 800]
    assert [fit_all(trials).filtered[f, kind, STABILITY].cells for f in FILTERS] == [21, 21, 18, 15]


@pytest.mark.slow
def test_a_bent_curve_does_not_attain_the_order_silently(tmp_path):
    """Stability rises like p^1/2 up to 800 parameters and is flat from there on."""
    rng = np.random.default_rng(0)
    rows = [
        row(p, n, seed=s, stability=0.001 * min(p, 800) ** 0.5 * np.exp(0.01 * rng.normal()))
        for p in PS
        for n in (100, 200, 400, 800)
        for s in (0, 1)
    ]
    (kind,) = fit_all(read_evidence(make_store(tmp_path / "s", rows)).trials).kinds
    slopes = [found.slope for found, _ in kind.verdicts[STABILITY].filtered.values()]
    assert slopes[0] > 0.1 and slopes[-1] < 0.05


@pytest.mark.slow
def test_models_stopped_at_the_noise_enter_no_fit_of_the_training_radius(tmp_path):
    """Their radius is 0 by construction, or what is left of it a matter of one more step."""
    grid = {"ps": PS, "ns": NS}
    stopped = power_law(0.9, **grid)
    on = power_law(0.3, changes={"stop_rule": "interpolate", "stop_reason": "interpolated"}, **grid)
    trials = read_evidence(make_store(tmp_path / "s", stopped + on)).trials
    trials[RADIUS] = trials[STABILITY]
    stop, go = sorted(fit_all(trials).kinds, key=lambda kind: "interpolated" in kind.kind)
    assert stop.verdicts[RADIUS].verdict.startswith("cannot tell: 0 curves")
    assert go.verdicts[RADIUS].slope.slope == pytest.approx(0.3)
    assert go.verdicts[RADIUS].verdict == "compatible, order not attained"
