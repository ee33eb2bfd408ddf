"""Effective dimension of sets whose dimension is known (spheres, subspaces, rolls, unions) and of
sets that have none.

Run alone: python -m pytest tests/measures/test_dimension.py
"""

import math

import numpy as np
import pytest
import torch

from harness.measures.dimension import NEIGHBOURS, Dimension, dimension, participation_ratio

N = 1000


def normal(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def sphere(k: int, n: int = N, seed: int = 0) -> np.ndarray:
    """Return (n, k + 1) points, uniform on S^k."""
    x = normal(n, k + 1, seed)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def embedded(x: np.ndarray, d: int, seed: int = 9) -> np.ndarray:
    """Return the same points, moved into R^d by a random isometry."""
    basis = np.linalg.qr(normal(d, x.shape[1], seed))[0]
    return x @ basis.T


def swiss_roll(n: int = N) -> np.ndarray:
    """Return points on a sheet rolled up in R³, uniform on the sheet: the spiral is drawn by arc
    length, nearly t²/2."""
    u = np.random.default_rng(0).random((2, n))
    t = np.sqrt((1.5 * math.pi) ** 2 + u[0] * ((4.5 * math.pi) ** 2 - (1.5 * math.pi) ** 2))
    return np.stack([t * np.cos(t), 30 * u[1], t * np.sin(t)], axis=1)


def clear_of_noise(found: Dimension, dimensions: float, rel: float):
    """TwoNN varies by d/√N, or 3 % here."""
    assert found.d_twonn == pytest.approx(dimensions, rel=rel + 0.1)
    assert found.d_mle == pytest.approx(dimensions, rel=rel)


@pytest.mark.slow
@pytest.mark.parametrize("d", [3, 10, 784])
def test_a_swiss_roll_is_a_sheet(d: int):
    found = dimension(embedded(swiss_roll(), d))
    clear_of_noise(found, 2, rel=0.05)
    assert 2.5 < found.d_participation <= 3, "rolled up, it fills three directions"


@pytest.mark.slow
@pytest.mark.parametrize("d", [None, 30, 784], ids=str)
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_spheres_of_few_dimensions(k: int, d: int | None):
    x = sphere(k) if d is None else embedded(sphere(k), d)
    found = dimension(x)
    clear_of_noise(found, k, rel=0.05)
    assert found.d_participation == pytest.approx(k + 1, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("k", "twonn", "mle"), [(10, 9.4, 8.7), (15, 13.1, 12.0), (63, 37.5, 32.4)]
)
def test_many_dimensions_are_underestimated_as_documented(k: int, twonn: float, mle: float):
    """Means of eight drawings, as the library gives them, so a change of its method would show."""
    found = [dimension(sphere(k, seed=seed)) for seed in range(3)]
    assert np.mean([f.d_twonn for f in found]) == pytest.approx(twonn, rel=0.08)
    assert np.mean([f.d_mle for f in found]) == pytest.approx(mle, rel=0.03)
    assert np.mean([f.d_participation for f in found]) == pytest.approx(
        (k + 1) / (1 + (k + 1) / N), rel=0.01
    )


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 2, 4, 7])
def test_a_linear_subspace(k: int):
    found = dimension(embedded(normal(N, k), 50))
    clear_of_noise(found, k, rel=0.1)
    assert found.d_participation == pytest.approx(k / (1 + k / N), rel=0.02)


VARIANCES = [
    [1.0],
    [1.0, 1.0],
    [4.0, 1.0],
    [1.0] * 20,
    [100.0, *[1.0] * 10],
    [0.5**i for i in range(12)],
]


@pytest.mark.parametrize("d", [12, 20, 100])
@pytest.mark.parametrize("variances", VARIANCES, ids=str)
def test_the_participation_ratio_is_exact(variances: list[float], d: int):
    """Points ±√λ along each axis have these variances exactly, with more points than dimensions or
    fewer."""
    axes = np.diag(np.sqrt(variances))
    x = embedded(np.concatenate([axes, -axes]), max(d, len(variances))) + 5
    assert participation_ratio(x) == pytest.approx(
        sum(variances) ** 2 / sum(v**2 for v in variances)
    )


@pytest.mark.slow
@pytest.mark.parametrize("apart", [10.0, 1000.0])
def test_a_union_of_two_sheets_far_apart(apart: float):
    """There are two dimensions locally, while the variance lies along the line between the
    sheets."""
    sheets = [embedded(normal(N // 2, 2, seed), 20, seed=5 + seed) for seed in (0, 1)]
    found = dimension(np.concatenate([sheets[0], sheets[1] + apart]))
    clear_of_noise(found, 2, rel=0.05)
    assert found.d_participation == pytest.approx(1, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("low", "high"), [(1, 2), (1, 5), (2, 4)])
def test_a_union_of_unequal_dimensions(low: int, high: int):
    """Each part has half of the points. The MLE averages pointwise estimates as inverses; TwoNN
    gives something between the two."""
    parts = [embedded(sphere(k, N // 2), 20) for k in (low, high)]
    found = dimension(np.concatenate([parts[0], parts[1] + 50]))
    assert found.d_mle == pytest.approx(2 / (1 / low + 1 / high), rel=0.07)
    assert low < found.d_twonn < high


@pytest.mark.slow
@pytest.mark.parametrize("curve", ["line", "square root"])
def test_inputs_of_one_number(curve: str):
    x = np.random.default_rng(0).random((N, 1))
    found = dimension(x if curve == "line" else np.sqrt(x))
    clear_of_noise(found, 1, rel=0.05)
    assert found.d_participation == 1 and found.d_participation_spread == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", ["scaled", "moved", "turned", "as an image", "float32", "tensor"]
)
def test_what_leaves_the_dimension_as_it_was(change: str):
    x = normal(300, 6) * [3, 2, 1, 1, 0.5, 0.1]
    changed = {
        "scaled": x * 1e4,
        "moved": x - 1e3,
        "turned": embedded(x, 6),
        "as an image": x.reshape(300, 1, 2, 3),
        "float32": x.astype(np.float32),
        "tensor": torch.from_numpy(x),
    }[change]
    assert dimension(changed) == pytest.approx(dimension(x), rel=1e-4)


def test_the_order_changes_only_the_spread():
    x = sphere(5, 400)
    one, other, again = dimension(x), dimension(x[::-1]), dimension(x)
    assert one == again
    for field in ("d_participation", "d_twonn", "d_mle"):
        assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-12)
        assert getattr(one, f"{field}_spread") != getattr(other, f"{field}_spread")


def test_the_subsamples_are_drawn_whatever_the_order():
    """With points sorted by dimension, consecutive quarters would differ by 4; randomly drawn
    quarters differ little."""
    x = np.concatenate([embedded(sphere(k, N // 2), 20) + 50 * k for k in (1, 5)])
    assert dimension(x).d_mle_spread < 0.3


@pytest.mark.slow
def test_the_spread_is_that_of_a_quarter_of_the_points():
    """The mean square of the spread is the variance of the estimate over fresh drawings. Each side
    is known to 4 %."""
    spreads = np.array(
        [dimension(normal(60, 3, seed)).d_participation_spread for seed in range(200)]
    )
    drawn = np.array([participation_ratio(normal(15, 3, 1000 + seed)) for seed in range(600)])
    assert np.sqrt(np.square(spreads).mean()) == pytest.approx(drawn.std(ddof=1), rel=0.1)


@pytest.mark.slow
def test_the_spreads_of_the_neighbour_estimates():
    """The spread over thirty fresh drawings agrees with the mean of eight spreads, known to 15
    %."""
    spreads = np.array([dimension(sphere(4, 400, seed)) for seed in range(8)])[:, [4, 6]].mean(
        axis=0
    )
    drawn = np.array([dimension(sphere(4, 100, 100 + seed)) for seed in range(30)])[:, [3, 5]].std(
        axis=0, ddof=1
    )
    assert spreads == pytest.approx(drawn, rel=0.6)


@pytest.mark.slow
@pytest.mark.parametrize("copies", [2, 5])
def test_copies_show_no_direction(copies: int):
    x = sphere(3, 400).astype(np.float32)
    once, repeated = dimension(x), dimension(np.repeat(x, copies, axis=0))
    assert repeated.d_points == copies * 400
    assert (repeated.d_twonn, repeated.d_mle) == pytest.approx((once.d_twonn, once.d_mle), rel=1e-6)
    assert repeated.d_participation == pytest.approx(once.d_participation)


def test_a_few_copies_among_many_points():
    x = sphere(3)
    x[::10] = x[0]
    clear_of_noise(dimension(x), 3, rel=0.05)


def missing(found: Dimension) -> set[str]:
    return {field for field, value in found._asdict().items() if math.isnan(value)}


BY_NEIGHBOURS = {"d_twonn", "d_twonn_spread", "d_mle", "d_mle_spread"}
ALL = BY_NEIGHBOURS | {"d_participation", "d_participation_spread"}
EMPTY = {
    "identical": (np.full((97, 3), 1 / 3), ALL),
    "identical, zero": (np.zeros((200, 3)), ALL),
    "identical, one number": (np.full((200, 1), 0.1, np.float32), ALL),
    "one point": (normal(1, 3), ALL),
    "two points": (normal(2, 3), ALL - {"d_participation"}),
    "three points": (normal(3, 3), ALL - {"d_participation"}),
    "too few points": (normal(NEIGHBOURS, 3), BY_NEIGHBOURS),
    "just enough points": (normal(NEIGHBOURS + 1, 3), {"d_twonn_spread", "d_mle_spread"}),
    "too few in a quarter": (normal(4 * NEIGHBOURS + 3, 3), {"d_twonn_spread", "d_mle_spread"}),
    "just enough in each quarter": (normal(4 * NEIGHBOURS + 4, 3), set()),
    "many points, few of them distinct": (
        np.repeat(normal(NEIGHBOURS, 3), 50, axis=0),
        BY_NEIGHBOURS,
    ),
    "all equally far from each other": (np.eye(200), BY_NEIGHBOURS),
}


@pytest.mark.parametrize(("x", "expected"), EMPTY.values(), ids=EMPTY.keys())
def test_sets_without_an_estimate_give_nan(x: np.ndarray, expected: set[str]):
    found = dimension(x)
    assert missing(found) == expected
    assert found.d_points == len(x)


def test_a_lattice_gives_an_estimate_or_none():
    """Most ratios of distances are 1. The estimate is a positive number or NaN, and nothing is
    raised."""
    lattice = np.stack(np.meshgrid(*[np.arange(7.0)] * 3), axis=-1).reshape(-1, 3)
    found = dimension(lattice)
    assert all(math.isnan(value) or 0 < value < math.inf for value in found)


def test_the_inputs_are_not_changed():
    x = sphere(2, 50)
    before = x.copy()
    dimension(x)
    assert np.array_equal(x, before)
