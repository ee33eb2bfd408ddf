"""Verdicts by a slope's interval, and slopes that change their verdict with the filter.

Run alone: python -m pytest tests/reports/test_verdicts.py
"""

import numpy as np
import pandas as pd
import pytest

from reports.evidence import fit_rows, read_evidence
from reports.fits.slope import difference, fit_slope
from reports.law import FILTERS, fit_all
from reports.measures import RADIUS, STABILITY
from reports.verdicts import ATTAINS, COMPATIBLE, judge, meaning, verdict_of
from tests.reports.stores import make_store, power_law, row

NS = (100, 200, 400)
PS = (100, 200, 400, 800, 1600, 3200, 6400, 12_800)


def slope(low, high, spread=10.0, noise=1e-3):
    """Return a slope with this interval, of three curves whose slopes are all in its middle."""
    rows = pd.DataFrame(power_law(0.2, ns=(100, 200, 400)))
    rows = rows.assign(curve=rows["settings_json"], cell=rows["config_json"])
    middle = (low + high) / 2
    return fit_slope(rows, STABILITY)._replace(
        slope=middle,
        low=low,
        high=high,
        of_curves={name: (middle, spread) for name in "abc"},
        noise=noise,
        noise_freedom=12,
    )


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
    further = {2: slope(0.4, 0.6), 4: slope(0.1, 0.2, spread=2.0)}
    found = judge({1: slope(0.45, 0.6), **further}, "", +1)
    assert found.flips == found.others == [4]
    assert found.verdict == (
        "cannot tell: the verdict hangs on the filter: attains the law's order from 1× the"
        " onset's p on, compatible, order not attained from 4× the onset's p on"
    )


def test_another_verdict_within_chance_is_named_and_changes_nothing():
    """With noise like this the few cells left could have any slope."""
    slopes = {1: slope(0.45, 0.6, noise=0.3), 4: slope(0.1, 0.2, spread=2.0)}
    found = judge(slopes, "", +1)
    assert found.others == [4] and not found.flips
    assert found.verdict == "attains the law's order"


@pytest.mark.slow
def test_a_difference_of_slopes_has_the_variance_that_the_left_out_cells_bring():
    """Simulated: the interval of the difference covers 0 in 95 % under one power law, whatever the
    spread of the curves' slopes."""
    rng = np.random.default_rng(1)
    cells = pd.DataFrame(
        [{"n": n, "p": p, "curve": f"n={n}", "cell": f"{n} {p}"} for n in NS for p in PS]
    ).assign(d_ambient=10, trial_id="x")
    held = []
    for _ in range(100):
        tilt = dict(zip(NS, rng.normal(0, 0.2, len(NS)), strict=True))
        log_y = np.log(cells["p"]) * (0.3 + cells["n"].map(tilt)) + rng.normal(0, 0.1, len(cells))
        rows = cells.assign(y=np.exp(log_y))
        _, low, high = difference(
            fit_slope(rows, "y"), fit_slope(rows[rows["p"].ge(800)], "y"), 0.95
        )
        held.append(low <= 0 <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.06)


def test_a_filter_that_leaves_too_little_to_tell_changes_no_verdict():
    found = judge({1: slope(0.1, 0.2), 8: slope(-0.5, 0.9)}, "", +1)
    assert found.verdict == "compatible, order not attained" and not found.others


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
    assert stop.verdicts[RADIUS].verdict.startswith("no fit, no verdict: training stopped")
    assert go.verdicts[RADIUS].slope.slope == pytest.approx(0.3)
    assert go.verdicts[RADIUS].verdict == "compatible, order not attained"


def test_a_cryptic_verdict_stands_beside_its_meaning():
    assert meaning(COMPATIBLE, +1) == "consistent with the law; grows more slowly than its ceiling"
    assert meaning(COMPATIBLE, -1).endswith("falls more slowly than its floor")
    assert meaning(ATTAINS, +1) == ""
