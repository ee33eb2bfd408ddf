"""Each claim's verdict on rows made to support, contradict or leave it open."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from reports.claims import NOT_TESTED, check_claims
from reports.claims.claim import verdict_over
from reports.claims.generalisation import rank_correlation
from reports.claims.published_accuracy import compared, judged
from reports.evidence import read_evidence
from reports.law import fit_all
from tests.reports.stores import make_store, of_schema_2, power_law, row


def verdict(tmp_path, rows, key):
    evidence = read_evidence(make_store(tmp_path / "store", rows))
    claims = check_claims(evidence, fit_all(evidence.trials))
    assert [c.statement.key for c in claims] == [f"C{i}" for i in range(1, 12)]
    return next(c for c in claims if c.statement.key == key)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["supported", "supported"], "supported"),
        (["supported", "undecided"], "undecided"),
        (["supported", "contradicted"], "contradicted"),
        (["undecided", "contradicted"], "contradicted"),
    ],
)
def test_a_verdict_over_several_sets_of_rows(parts, expected):
    assert verdict_over(parts) == expected


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
        # a bracket of 2 to 20: too coarse, and perhaps too short a training
        ((100, 1000), 20, "undecided"),
        ((100, 1000), 0.1, NOT_TESTED),  # fitted at the smallest size: no bracket
        ((100, 1000), 0.2, "contradicted"),
    ],
)
def test_c1_brackets_the_onset(tmp_path, ns, first, expected):
    rows = [r for n in ns for r in onset(n, int(first * n))]
    assert verdict(tmp_path, rows, "C1").verdict == expected


def test_c1_needs_pure_noise(tmp_path):
    assert (
        verdict(tmp_path, [r | {"sigma2": 0.64} for r in onset(100, 100)], "C1").verdict
        == NOT_TESTED
    )


GRID = {"ns": (100, 200, 400), "ds": (8, 16, 32), "spread": 0.02}


@pytest.mark.parametrize(
    ("b", "b_n", "b_d", "expected"),
    [
        (0.4, 0.4, 0.4, "supported"),
        (0.4, 0.4, 0.0, "contradicted"),
        (0.1, 0.5, 0.1, "contradicted"),
        (0.0, 0.3, 0.3, "undecided"),
    ],
)
def test_c2_is_the_collapse(tmp_path, b, b_n, b_d, expected):
    assert verdict(tmp_path, power_law(b, b_n, b_d, **GRID), "C2").verdict == expected


def digits(accuracies: dict[int, float], n: int = 4000):
    changes = {
        "task": "mnist",
        "family": "mnist-mlp",
        "outputs": 10,
        "sigma2": None,
        "bayes_error": 0.0,
        "epsilon": 0.0,
    }
    changes |= {"stop_rule": "interpolate", "stop_reason": "interpolated", "below_noise": False}
    return [row(p, n, 784, test_accuracy=a, **changes) for p, a in accuracies.items()]


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
    rows = digits({1000: 0.5, 2_000_000: 0.6}, 60_000)
    assert verdict(tmp_path, rows, "C4").verdict == "contradicted"


def test_c4_interpolates_in_log_p(tmp_path):
    claim = verdict(tmp_path, digits({1000: 0.8, 100_000: 1.0}), "C4")
    assert claim.findings[0].parts["at"].value == pytest.approx(10_000)


def on_sphere(d: int, quantiles: list[float] | None, unit: float = 1.0, n: int = 100):
    return row(1000, n, d, pair_distance_quantiles=quantiles, data_unit=unit)


GATHERED, FAR = [1.3, 1.35, 1.4, 1.41, 1.42, 1.5, 1.6], [1.8, 1.91, 1.95, 1.96, 1.97, 1.98, 1.99]
WIDE = [0.5, 0.8, 1.2, 1.4, 1.6, 1.9, 2.0]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([on_sphere(8, WIDE), on_sphere(128, GATHERED)], "contradicted"),
        # radii, whatever the data unit
        ([on_sphere(128, [q / 1.6 for q in GATHERED], unit=1.6)], "contradicted"),
        # what counts is the largest d
        ([on_sphere(8, GATHERED), on_sphere(128, FAR)], "supported"),
        ([on_sphere(8, WIDE)], "undecided"),
        # neither 2 nor √2
        ([on_sphere(8, [1.5, 1.51, 1.52, 1.53, 1.54, 1.55, 1.56])], "undecided"),
        ([on_sphere(8, GATHERED) | {"isoperimetry": "assumed"}], NOT_TESTED),
        ([on_sphere(8, None)], NOT_TESTED),
    ],
)
def test_c3_looks_at_the_largest_dimension(tmp_path, rows, expected):
    assert verdict(tmp_path, rows, "C3").verdict == expected


def test_c3_takes_the_median_over_data_sets(tmp_path):
    rows = [
        on_sphere(8, [q + 0.01 * n for q in GATHERED], n=100 + n) | {"data_hash": str(n)}
        for n in (1, 2, 3)
    ]
    # the same data again does not count again
    twice = [rows[2] | {"trial_id": "f" * 16, "seed": 9}]
    (claim,) = verdict(tmp_path, rows + twice, "C3").findings
    assert claim.parts["low"].value == pytest.approx(1.32) and len(claim.parts["low"].trials) == 3


def robust(accuracies: dict[int, float], **changes):
    """Adversarially trained CNNs: (p, accuracy at pixel changes of 0.3)."""
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


def test_c4_says_how_far_from_the_published_figures(tmp_path):
    said = verdict(tmp_path, robust({13_514: 0.5, 206_954: 0.85, 821_706: 0.9}), "C4").findings[-1]
    assert (said.parts["p"].value, said.parts["ours"].value, said.parts["v0"].value) == (
        206_954,
        pytest.approx(0.85),
        0.9,
    )
    assert (
        said.parts["d0"].value == pytest.approx(-5)
        and "about 90.0 %" in str(said)
        and "−5.0 points" in str(said)
    )
    largest = verdict(tmp_path / "b", robust({821_706: 0.9, 3_274_634: 0.93}), "C4").findings[-1]
    assert [largest.parts[f"d{i}"].value for i in range(5)] == pytest.approx(
        [-2, -3.36, 0.48, 3.38, 5]
    )


def test_c4_says_nothing_of_published_sizes_beyond_the_grid(tmp_path):
    findings = verdict(tmp_path, robust({13_514: 0.5, 52_506: 0.6}), "C4").findings
    assert len(findings) == 2 and not any("Madry" in str(f) for f in findings)


def recipe(
    accuracy: float,
    seed: int = 0,
    batch_size: int = 5,
    adversary: str | None = None,
    p: int = 690_000,
    n: int = 60_000,
    **changes,
):
    settings = {"batch_size": batch_size, "adversary": adversary}
    whole = {
        "task": "mnist",
        "family": "mnist-cnn",
        "outputs": 10,
        "sigma2": None,
        "bayes_error": 0.0,
        "epsilon": 0.0,
        "epochs": 15,
    }
    whole |= {
        "stop_rule": "epochs",
        "stop_reason": "epoch_cap",
        "below_noise": False,
        "test_accuracy": accuracy,
        "test_accuracy_se": 0.001,
    }
    return row(p, n, 784, seed, settings=settings, **whole | changes)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([recipe(0.9925)], "supported"),
        ([recipe(0.9901), recipe(0.995, 1)], "supported"),  # within two standard errors
        ([recipe(0.9899), recipe(0.95, 1)], "contradicted"),
        ([recipe(0.9899), recipe(0.992, 1)], "undecided"),
        # it names no architecture
        (
            [recipe(0.98, family="mnist-mlp"), recipe(0.993, 1, family="mnist-cnn", p=630_000)],
            "supported",
        ),
        (
            [recipe(0.98, family="mnist-mlp"), recipe(0.97, 1, family="mnist-cnn", p=630_000)],
            "contradicted",
        ),
        ([recipe(0.98, p=760_000)], NOT_TESTED),
        ([recipe(0.98, p=756_000)], "contradicted"),  # 10 % more
        ([recipe(0.98, n=59_999)], NOT_TESTED),
        ([recipe(0.98, batch_size=64)], NOT_TESTED),
        ([recipe(0.98, epochs=14)], NOT_TESTED),
        ([recipe(0.98, epsilon=0.1)], NOT_TESTED),
        ([recipe(0.98, adversary="pgd")], NOT_TESTED),
    ],
)
def test_c5_is_the_recipe_itself(tmp_path, rows, expected):
    assert verdict(tmp_path, rows, "C5").verdict == expected


def levelling(
    limit: float, n: int = 60_000, sizes=(1000, 3000, 10_000, 30_000, 100_000, 300_000), **changes
):
    """Digits whose test error falls like p^−0.8 to a limit."""
    return [
        r | {"test_n": 10_000} | changes
        for r in digits({p: 1 - limit - 30 * p**-0.8 for p in sizes}, n)
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (levelling(0.01), "contradicted"),
        (levelling(0.01, n=4000), "undecided"),  # more digits might do it
        (levelling(0.0), "undecided"),  # an extrapolation supports nothing
        (levelling(0.01, sizes=(1000, 3000, 10_000, 30_000)), NOT_TESTED),
        (
            levelling(0.01) + [r | {"test_n": 10_000} for r in digits({5_000_000: 1.0}, 60_000)],
            "contradicted",
        ),
        (
            levelling(0.0, n=4000) + [r | {"test_n": 10_000} for r in digits({20_000_000: 1.0})],
            "supported",
        ),
        # fewer digits, an easier test
        (
            levelling(0.0, n=4000) + [r | {"test_n": 10_000} for r in digits({2_000_000: 1.0})],
            "undecided",
        ),
        (levelling(0.01) + levelling(0.0, n=4000), "contradicted"),  # the largest n of a kind
        (levelling(0.01, epsilon=0.1), NOT_TESTED),
    ],
)
def test_c6_asks_where_the_error_levels_off(tmp_path, rows, expected):
    assert verdict(tmp_path, rows, "C6").verdict == expected


def test_c6_says_that_it_extrapolates_and_from_where(tmp_path):
    (said,) = verdict(tmp_path, levelling(0.01), "C6").findings
    assert said.parts["limit"].value == pytest.approx(0.01, rel=1e-3) and said.parts[
        "at"
    ].value == pytest.approx(0.01 + 30e7**-0.8, rel=1e-2)
    assert "extrapolated from 6 sizes, p = 1,000 to 300,000" in str(said)
    (said,) = verdict(
        tmp_path / "b", levelling(0.01, sizes=(1000, 10_000, 100_000, 1_000_000, 20_000_000)), "C6"
    ).findings
    assert "fitted to 5 sizes" in str(said) and "extrapolated" not in str(said)


@pytest.mark.parametrize("rows", [[], [row()]], ids=["nothing", "one trial"])
def test_c7_is_arithmetic_whatever_the_rows_say(tmp_path, rows):
    claim = verdict(tmp_path, rows, "C7")
    assert claim.verdict == "arithmetic only" and all(
        not n.trials for f in claim.findings for n in f.numbers()
    )
    by_width, own, ends, rumour, *others = [str(f) for f in claim.findings]
    assert "n·d is 3.7·10¹⁵ and p/(n·d) 4.7·10⁻⁵, 4.32 orders short" in by_width
    assert (
        "175 billion parameters and 300 billion training tokens" in by_width
        and "rumoured 100 trillion" in rumour
    )
    assert (
        "175 trillion lies 3 orders short: n·d is that if a token is 583 numbers (or 350," in own
        and "21.1 times as much" in own
    )
    assert "p/n = 0.583, 0.234 orders short" in ends and "n·d = 7.5·10¹⁸, 7.63 orders short" in ends
    assert (
        "2.52 orders beyond with one number a token, 0.243 short with the claim’s, 1.57 short with"
        " d_model, 4.88 short" in rumour
    )
    largest = ["GPT-2 1558M", "Gopher 280B", "Chinchilla 70B", "OPT 66b", "LLaMA 65B", "Pythia 12b"]
    assert [o.replace(",", ":").split(":")[0] for o in others] == largest


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, 0.6, 0.7], "supported"),
        ([0.5, 0.6, 0.59], "contradicted"),
        ([0.5, 0.4, 0.7], "contradicted"),
        ([0.5, 0.5, 0.7], "undecided"),
    ],
)
def test_c9_asks_for_a_rise_at_every_step(values, expected):
    assert judged(values) == expected


def test_c9_compares_gpt3_within_one_table_and_says_that_nothing_was_measured(tmp_path):
    claim = verdict(tmp_path, [], "C9")
    first, *said = [str(f) for f in claim.findings]
    assert claim.verdict == "supported" and "not measured here" in first
    assert [s.split(":")[0] for s in said] == [
        "HellaSwag, zero-shot",
        "LAMBADA, zero-shot",
        "mean of 18 accuracies, zero-shot",
        "mean of 18 accuracies, few-shot",
    ]
    assert (
        "63.6 % at GPT-3 1.3B, 72.5 % at GPT-3 13B, 76.2 % at GPT-3 175B, +8.9 and +3.7 points:"
        " rises." in said[1]
    )
    assert all(len({a.harness for a in points}) == 1 for points in compared())


@pytest.mark.parametrize(("b", "expected"), [(0.3, "supported"), (-0.3, "contradicted")])
def test_c8_is_the_sign_of_every_slope(tmp_path, b, expected):
    rows = power_law(b, spread=0.01)
    for r in rows:
        r["noise_flip_rate"] = [0.1, 0.5 * r["p"] ** -b / 20]
    claim = verdict(tmp_path, rows, "C8")
    assert claim.verdict == expected and len(claim.findings) == 9


def test_c8_does_not_count_a_guarantee_that_gets_looser(tmp_path):
    rows = power_law(0.3, spread=0.01)
    for r in rows:
        r["noise_flip_rate"] = [0.1, 0.5 * r["p"] ** -0.3 / 20]
        r["stability_certified_mean"] = 1 / r["p"]
    claim = verdict(tmp_path, rows, "C8")
    (said,) = [str(f) for f in claim.findings if "certified" in str(f)]
    assert claim.verdict == "supported" and said.endswith("guarantees less with size, not counted.")


def test_c8_takes_normalised_figures_for_classes(tmp_path):
    classes = {
        "outputs": 10,
        "sigma2": None,
        "bayes_error": 0.3,
        "noise_kind": "label_resample",
        "eta": 0.3,
    }
    said = " ".join(
        str(f)
        for f in verdict(tmp_path, power_law(0.3, spread=0.01, changes=classes), "C8").findings
    )
    assert (
        "Lipschitz lower estimate over the mean margin, slope −0.30" in said
        and "Jacobian" not in said
    )


def together(sign: int, cells: int = 8, shuffled: bool = False, **changes):
    """Cells whose accuracy rises with stability, falls, or does neither."""
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


def pictured(*lengths: float | None, after: str = "2", **changes):
    return row(
        pictures=[{"label": "1", "before": "1", "after": after, "distance": d} for d in lengths],
        **changes,
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([pictured(0.1, 0.2, 0.9)], "supported"),  # the median is below a fifth of 1.4
        ([pictured(0.2, 0.3, 0.4)], "undecided"),
        ([pictured(0.1), pictured(0.5, family="other")], "undecided"),
        ([pictured(0.1), pictured(0.1, family="other")], "supported"),
        ([pictured(None, math.nan, 0.1)], "supported"),
        ([pictured(None)], NOT_TESTED),
        ([pictured(0.1, after="1")], NOT_TESTED),  # the same answer is no change
        ([pictured()], NOT_TESTED),
        ([pictured(0.1, pair_distance_quantiles=None)], NOT_TESTED),
        (of_schema_2([pictured(0.1)]), NOT_TESTED),
    ],
)
def test_c11_sets_changes_beside_distances_of_inputs(tmp_path, rows, expected):
    assert verdict(tmp_path, rows, "C11").verdict == expected


def test_claims_without_rows_are_not_tested(tmp_path):
    evidence = read_evidence(make_store(tmp_path / "store", []))
    claims = check_claims(evidence, fit_all(evidence.trials))
    published = {c.statement.key: c.verdict for c in claims if c.verdict != NOT_TESTED}
    assert published == {"C7": "arithmetic only", "C9": "supported"}
    assert all(c.statement.rule for c in claims)
