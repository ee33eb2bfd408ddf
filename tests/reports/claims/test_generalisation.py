"""C10: whether stability and accuracy rank models alike.

Run alone: python -m pytest tests/reports/claims/test_generalisation.py
"""

import numpy as np
import pytest
from scipy.stats import spearmanr

from reports.claims import NOT_TESTED
from reports.claims.generalisation import rank_correlation
from tests.reports.claims.verdicts import verdict
from tests.reports.stores import row


def together(sign: int, cells: int = 8, shuffled: bool = False, **changes):
    """Return cells whose accuracy rises with stability, falls, or does neither."""
    order = np.random.default_rng(0).permutation(cells) if shuffled else np.arange(cells)
    noise = {"sigma2": 0.64, "noise_kind": "label_flip", "eta": 0.2}
    return [
        row(
            100 * 2**i,
            seed=s,
            stability=0.1 + 0.01 * i,
            test_accuracy=0.7 + sign * 0.01 * int(order[i]),
            **noise | changes,
        )
        for i in range(cells)
        for s in (0, 1)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (together(+1), "supported"),
        (together(-1), "contradicted"),
        (together(+1, shuffled=True), "undecided"),
        (together(+1) + together(-1, family="other"), "contradicted"),
        (together(+1) + together(+1, family="other", shuffled=True), "undecided"),
        (together(+1, cells=5), NOT_TESTED),
        (together(0), NOT_TESTED),  # one accuracy for all has no rank
        (together(+1, sigma2=1.0), NOT_TESTED),
        (together(+1, outputs=10, eta=1.0), NOT_TESTED),
    ],
)
def test_c10_is_a_rank_correlation_over_cells(tmp_path, rows, expected):
    assert verdict(tmp_path, rows, "C10").verdict == expected


@pytest.mark.slow
def test_c10_keeps_n_apart(tmp_path):
    """Accuracy falls with stability at either n; over both it would seem to rise."""
    lower = together(-1)
    higher = [
        row(
            r["p"],
            1000,
            seed=r["seed"],
            stability=r["stability_attack_mean"] + 1,
            test_accuracy=r["test_accuracy"] + 0.2,
            sigma2=0.64,
            noise_kind="label_flip",
            eta=0.2,
        )
        for r in lower
    ]

    claim = verdict(tmp_path, lower + higher, "C10")
    assert claim.verdict == "contradicted" and [f.parts["n"].value for f in claim.findings] == [
        100,
        1000,
    ]


def test_the_rank_correlation_is_spearmans():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 6, 40).astype(float)  # with ties
    y = x + rng.normal(0, 3, 40)
    rho, low, high = rank_correlation(x, y)
    assert rho == pytest.approx(spearmanr(x, y)[0]) and -1 <= low < rho < high <= 1
    assert rank_correlation(np.arange(6.0), np.arange(6.0)) == pytest.approx((1, 1, 1))
