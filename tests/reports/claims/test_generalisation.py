"""C10: whether stability and accuracy rank models alike.

Run alone: python -m pytest tests/reports/claims/test_generalisation.py
"""

import json

import numpy as np
import pytest
from scipy.stats import rankdata

from reports.claims import NOT_TESTED
from reports.claims.generalisation import correlation
from tests.reports.claims.verdicts import verdict
from tests.reports.stores import row


def together(sign: int, recipes: int = 4, seed: int = 0, **changes):
    """Return cells of one n and d: stability and accuracy both rise with p, and what a recipe adds
    to one it adds to the other (+1), takes from it (-1), or leaves alone (0)."""
    rng = np.random.default_rng(seed)
    noise = {"sigma2": 0.64, "noise_kind": "label_flip", "eta": 0.2}
    rows = []
    for lr in range(1, recipes + 1):
        for i in range(6):
            own, other = rng.standard_normal(2)
            also = sign * own if sign else other
            rows += [
                row(
                    100 * 2**i,
                    seed=s,
                    stability=0.2 + 0.01 * i + 0.03 * own,
                    test_accuracy=0.7 + 0.01 * i + 0.03 * also,
                    settings={"lr": lr / 1000},
                    **noise | changes,
                )
                for s in (0, 1)
            ]
    return rows


def following_size():
    """Return cells whose stability and accuracy rise with p alone."""
    noise = {"sigma2": 0.64, "noise_kind": "label_flip", "eta": 0.2}
    return [
        row(100 * 2**i, stability=0.1 + 0.01 * i, test_accuracy=0.7 + 0.01 * i, **noise)
        for i in range(8)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (together(+1), "supported"),
        (together(-1), "contradicted"),
        (together(0, seed=1), "undecided"),
        (together(+1) + together(-1, family="other"), "undecided"),
        (following_size(), "undecided"),  # size explains both
        (following_size()[:5], NOT_TESTED),
        (together(+1, sigma2=1.0), NOT_TESTED),
        (together(+1, outputs=10, eta=1.0), NOT_TESTED),
    ],
)
def test_c10_is_a_rank_correlation_given_p(tmp_path, rows, expected):
    assert verdict(tmp_path, rows, "C10").verdict == expected


@pytest.mark.slow
def test_c10_keeps_n_apart(tmp_path):
    """With more data both are higher, which says nothing about models of one n."""
    more = [
        row(
            r["p"],
            1000,
            seed=r["seed"],
            stability=r["stability_attack_mean"] + 1,
            test_accuracy=r["test_accuracy"] + 0.2,
            settings={"lr": json.loads(r["settings_json"])["lr"]},
            sigma2=0.64,
            noise_kind="label_flip",
            eta=0.2,
        )
        for r in together(-1)
    ]
    claim = verdict(tmp_path, together(-1) + more, "C10")
    assert claim.verdict == "contradicted"
    assert [f.parts["n"].value for f in claim.findings[1:]] == [100, 1000]


def test_the_correlation_given_p_is_that_of_the_residual_ranks():
    rng = np.random.default_rng(3)
    p = rng.integers(0, 6, 40).astype(float)  # with ties
    x = p + rng.normal(0, 2, 40)
    y = x + rng.normal(0, 3, 40)
    found = correlation(x, y, p)
    ranks = np.column_stack([rankdata(v) for v in (x, y)])
    design = np.column_stack([np.ones(40), rankdata(p)])
    left = ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
    plain = np.corrcoef(ranks.T)[0, 1]
    assert found.plain == pytest.approx(plain)
    partial = np.corrcoef(left[:, 0], left[:, 1])[0, 1]
    assert found.partial == pytest.approx(partial)
    assert np.isnan(correlation(np.arange(6.0), y[:6], np.arange(6.0)).partial)


@pytest.mark.slow
def test_without_a_relation_given_p_a_twentieth_is_found():
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(1000):
        p = np.arange(12.0)
        one = correlation(p + 3 * rng.standard_normal(12), p + 3 * rng.standard_normal(12), p)
        found += abs(one.z) > 1.96 * one.error
    assert found / 1000 < 0.07
