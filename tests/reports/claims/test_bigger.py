"""C8: whether larger models are more robust, by the sign of every slope.

Run alone: python -m pytest tests/reports/claims/test_bigger.py
"""

import pytest

from tests.reports.claims.verdicts import verdict
from tests.reports.stores import power_law

NS = (100, 200, 400, 800)


@pytest.mark.slow
@pytest.mark.parametrize(("b", "expected"), [(0.3, "supported"), (-0.3, "contradicted")])
def test_c8_follows_the_pooled_slope_of_every_measure(tmp_path, b, expected):
    rows = power_law(b, spread=0.01, ns=NS)
    for r in rows:
        r["noise_flip_rate"] = [0.1, 0.5 * r["p"] ** -b / 20]
    claim = verdict(tmp_path, rows, "C8")
    assert claim.verdict == expected and "Pooled over kinds" in str(claim.findings[0])


@pytest.mark.slow
def test_c8_does_not_count_a_guarantee_that_gets_looser(tmp_path):
    rows = power_law(0.3, spread=0.01, ns=NS)
    for r in rows:
        r["noise_flip_rate"] = [0.1, 0.5 * r["p"] ** -0.3 / 20]
        r["stability_certified_mean"] = 1 / r["p"]
    claim = verdict(tmp_path, rows, "C8")
    text = next(str(f) for f in claim.findings if "certified" in str(f))
    assert claim.verdict == "supported" and text.endswith("guarantees less with size, not counted.")


@pytest.mark.slow
def test_c8_says_where_kinds_differ(tmp_path):
    """One family grows more robust, the other less: no mean describes both."""
    grid = {"spread": 0.01, "ns": NS}
    rows = power_law(0.3, **grid) + power_law(-0.3, changes={"family": "other"}, **grid)
    claim = verdict(tmp_path, rows, "C8")
    assert claim.verdict == "undecided"
    assert "a standard deviation of 0.42" in str(claim.findings[1])


@pytest.mark.slow
def test_c8_takes_normalised_figures_for_classes(tmp_path):
    classes = {
        "outputs": 10,
        "sigma2": None,
        "bayes_error": 0.3,
        "noise_kind": "label_resample",
        "eta": 0.3,
    }
    rows = power_law(0.3, spread=0.01, changes=classes, ns=NS)
    text = " ".join(str(f) for f in verdict(tmp_path, rows, "C8").findings)
    assert (
        "Lipschitz lower estimate over the mean margin, slope -0.30" in text
        and "Jacobian" not in text
    )
