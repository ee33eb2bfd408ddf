"""C4: the sizes at which clean and robust accuracy cross their targets.

Run alone: python -m pytest tests/reports/claims/test_crossing.py
"""

import pytest

from reports.claims import NOT_TESTED
from tests.reports.claims.verdicts import digits, verdict
from tests.reports.stores import of_schema_2, row


@pytest.mark.slow
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


@pytest.mark.slow
def test_c4_is_contradicted_when_all_digits_do_not_reach_it(tmp_path):
    rows = digits({1000: 0.5, 2_000_000: 0.6}, 60_000)
    assert verdict(tmp_path, rows, "C4").verdict == "contradicted"


@pytest.mark.slow
def test_c4_interpolates_in_log_p(tmp_path):
    claim = verdict(tmp_path, digits({1000: 0.8, 100_000: 1.0}), "C4")
    assert claim.findings[0].parts["at"].value == pytest.approx(10_000)


def robust(accuracies: dict[int, float], **changes):
    """Return rows of adversarially trained CNNs with these accuracies, by p, at pixel changes of
    0.3."""
    settings = {"adversary": "pgd", "adversary_radius": 0.3, "note": changes.pop("note", "")}
    whole = {
        "task": "mnist",
        "family": "mnist-cnn",
        "outputs": 10,
        "sigma2": None,
        "bayes_error": 0.0,
        "epsilon": 0.0,
        "below_noise": False,
    }

    whole |= {
        "stop_rule": "epochs",
        "stop_reason": "epoch_cap",
        "robust_linf_radii": [0.1, 0.3],
    } | changes
    return [
        row(p, 60_000, 784, settings=settings, robust_accuracy_linf=[1.0, a], **whole)
        for p, a in accuracies.items()
    ]


MADRYS = {50_000: 0.5, 150_000: 0.88, 500_000: 0.92, 2_000_000: 0.94, 4_000_000: 0.96}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (robust(MADRYS), "supported"),
        # early, but a search may have missed changes
        (robust({13_514: 0.5, 52_506: 0.96, 206_954: 0.97}), "undecided"),
        # never, but another training may be better
        (robust({13_514: 0.1, 4_000_000: 0.2}), "undecided"),
        (robust(MADRYS, family="mnist-mlp"), NOT_TESTED),
        (robust(MADRYS, robust_linf_radii=[0.1, 0.25]), NOT_TESTED),
        (robust(MADRYS, robust_linf_box=None), NOT_TESTED),
        (of_schema_2(robust(MADRYS)), NOT_TESTED),
        # the clean half decides
        (robust(MADRYS) + digits({1000: 0.8, 4000: 0.92}), "contradicted"),
    ],
)
def test_c4_robust_part_supports_and_never_contradicts(tmp_path, rows, expected):
    assert verdict(tmp_path, rows, "C4").verdict == expected


@pytest.mark.slow
def test_c4_says_how_far_from_the_published_figures(tmp_path):
    claim = verdict(tmp_path, robust({13_514: 0.5, 206_954: 0.85, 821_706: 0.9}), "C4")
    sentence = claim.findings[-1]
    assert (
        sentence.parts["p"].value,
        sentence.parts["ours"].value,
        sentence.parts["v0"].value,
    ) == (
        206_954,
        pytest.approx(0.85),
        0.9,
    )
    assert (
        sentence.parts["d0"].value == pytest.approx(-5)
        and "about 90.0 %" in str(sentence)
        and "-5.0 points" in str(sentence)
    )

    largest = verdict(tmp_path / "b", robust({821_706: 0.9, 3_274_634: 0.93}), "C4").findings[-1]
    assert [largest.parts[f"d{i}"].value for i in range(5)] == pytest.approx(
        [-2, -3.36, 0.48, 3.38, 5]
    )


@pytest.mark.slow
def test_c4_says_nothing_about_published_sizes_beyond_the_grid(tmp_path):
    findings = verdict(tmp_path, robust({13_514: 0.5, 52_506: 0.6}), "C4").findings
    assert len(findings) == 2 and not any("Madry" in str(f) for f in findings)
