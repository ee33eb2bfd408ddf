"""Each claim's verdict on rows made to support, contradict or leave it open."""

import pytest

from reports.claims import NOT_TESTED, check_claims
from reports.tables import read_evidence
from tests.reports.stores import make_store, power_law, row


def verdict(tmp_path, rows, key):
    claims = check_claims(read_evidence(make_store(tmp_path / "store", rows)))
    assert [c.key for c in claims] == [f"C{i}" for i in range(1, 12)]
    return next(c for c in claims if c.key == key)


def onset(n: int, first: int):
    """Pure-noise rows over p that fit every label from `first` on."""
    made = []
    for p in (n // 10, n // 5, n // 2, n, 2 * n, 20 * n):
        error, reason = (0.0, "interpolated") if p >= first else (0.2, "epoch_cap")
        made.append(row(p, n, stop_rule="interpolate", stop_reason=reason, train_error=error))
    return made


@pytest.mark.parametrize(
    ("ns", "first", "expected"),
    [
        ((100, 1000), 1, "supported"),
        ((100, 1000), 2, "supported"),
        ((100,), 1, "undecided"),  # one n says nothing of proportion
        ((100, 1000), 20, "undecided"),  # a bracket of 2 to 20: too coarse, and perhaps too short a training
        ((100, 1000), 0.1, NOT_TESTED),  # fitted at the smallest size: no bracket
        ((100, 1000), 0.2, "contradicted"),
    ],
)
def test_c1_brackets_the_onset(tmp_path, ns, first, expected):
    rows = [r for n in ns for r in onset(n, int(first * n))]
    assert verdict(tmp_path, rows, "C1").verdict == expected


def test_c1_needs_pure_noise(tmp_path):
    assert verdict(tmp_path, [r | {"sigma2": 0.64} for r in onset(100, 100)], "C1").verdict == NOT_TESTED


GRID = {"ns": (100, 200, 400), "ds": (8, 16, 32), "spread": 0.02}


@pytest.mark.parametrize(
    ("b", "b_n", "b_d", "expected"),
    [(0.4, 0.4, 0.4, "supported"), (0.4, 0.4, 0.0, "contradicted"), (0.1, 0.5, 0.1, "contradicted"), (0.0, 0.3, 0.3, "undecided")],
)
def test_c2_is_the_collapse(tmp_path, b, b_n, b_d, expected):
    assert verdict(tmp_path, power_law(b, b_n, b_d, **GRID), "C2").verdict == expected


def digits(accuracies: dict[int, float]):
    changes = {"task": "mnist", "family": "mnist-mlp", "outputs": 10, "sigma2": None, "bayes_error": 0.0, "epsilon": 0.0}
    changes |= {"stop_rule": "interpolate", "stop_reason": "interpolated", "below_noise": False}
    return [row(p, 4000, 784, test_accuracy=a, **changes) for p, a in accuracies.items()]


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ({1000: 0.8, 4000: 0.92, 100_000: 0.93}, "contradicted"),
        ({50_000: 0.8, 150_000: 0.92, 500_000: 0.94, 1_500_000: 0.96}, "supported"),
        ({50_000: 0.8, 150_000: 0.92, 300_000: 0.94}, "undecided"),  # 95 % not reached
        ({1600: 0.8, 2_000_000: 0.96}, "undecided"),  # too coarse a bracket
        ({1000: 0.5, 4000: 0.6, 100_000: 0.7}, "undecided"),
        ({1000: 0.96}, "contradicted"),
    ],
)
def test_c4_brackets_the_crossing(tmp_path, accuracies, expected):
    assert verdict(tmp_path, digits(accuracies), "C4").verdict == expected


def test_c4_is_contradicted_when_all_digits_do_not_reach_it(tmp_path):
    rows = [r | {"n": 60_000} for r in digits({1000: 0.5, 2_000_000: 0.6})]
    assert verdict(tmp_path, rows, "C4").verdict == "contradicted"


def test_c4_interpolates_in_log_p(tmp_path):
    claim = verdict(tmp_path, digits({1000: 0.8, 100_000: 1.0}), "C4")
    assert claim.findings[0].parts["at"].value == pytest.approx(10_000)


@pytest.mark.parametrize(("b", "expected"), [(0.3, "supported"), (-0.3, "contradicted")])
def test_c8_is_the_sign_of_every_slope(tmp_path, b, expected):
    rows = power_law(b, spread=0.01)
    for r in rows:
        r["noise_flip_rate"] = [0.1, 0.5 * r["p"] ** -b / 20]
    assert verdict(tmp_path, rows, "C8").verdict == expected


def test_claims_without_rows_are_not_tested(tmp_path):
    claims = check_claims(read_evidence(make_store(tmp_path / "store", [])))
    assert {c.verdict for c in claims} == {NOT_TESTED}
