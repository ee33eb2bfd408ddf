"""Pairwise distances: by hand on a line, by formula on spheres, and for copies and distant data.

Run alone: python -m pytest tests/measures/test_geometry.py
"""

import math

import numpy as np
import pytest
import torch

from harness.measures.geometry import QUANTILES, centred, distances, pair_distances


def sphere(d: int, n: int = 1000, seed: int = 0) -> torch.Tensor:
    return torch.nn.functional.normalize(
        torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    )


def test_points_on_a_line_by_hand():
    """0, 1 and 3 are 1, 2 and 3 apart; a unit of 1/2 doubles that. Between three ordered values
    the q-quantile is 2 + 4q."""
    found = pair_distances(torch.tensor([[0.0], [1.0], [3.0]]), unit=0.5)
    assert found.pair_distance_mean == pytest.approx(4)
    assert found.pair_distance_sd == pytest.approx(math.sqrt(8 / 3))
    assert found.pair_distance_quantiles == pytest.approx([2 + 4 * q for q in QUANTILES])


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 3, 16, 300, 3000])
def test_two_random_points_of_a_sphere_are_root_two_radii_apart(d: int):
    """The mean distance is 2^(d−1)·Γ(d/2)²/(√π·Γ(d−1/2)) radii, which tends to √2 from below;
    the mean square is 2."""
    mean = math.exp(
        (d - 1) * math.log(2)
        + 2 * math.lgamma(d / 2)
        - math.log(math.pi) / 2
        - math.lgamma(d - 1 / 2)
    )

    found = pair_distances(7 * sphere(d), unit=7.0)
    sd = math.sqrt(2 - mean**2)
    # pairs are uncorrelated on a sphere
    assert found.pair_distance_mean == pytest.approx(mean, abs=4 * sd / 1000)
    assert found.pair_distance_sd == pytest.approx(sd, rel=0.05)
    assert mean < math.sqrt(2)

    if d >= 16:
        assert math.sqrt(2) - mean < 1 / (4 * d)
        low, median, high = (found.pair_distance_quantiles[i] for i in (0, 3, -1))
        assert median == pytest.approx(math.sqrt(2), abs=0.01)
        assert high - low == pytest.approx(2 * 2.326 / math.sqrt(2 * d), rel=0.1), (
            "the sd is 1/√(2d), and 98 % lie within 2.3 of it"
        )


def test_all_pairs_count_once():
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    found = pair_distances(x, 1.0)
    pairs = torch.pdist(x.double()).numpy()
    assert found.pair_distance_mean == pytest.approx(pairs.mean())
    assert found.pair_distance_sd == pytest.approx(pairs.std())
    assert found.pair_distance_quantiles == pytest.approx(np.quantile(pairs, QUANTILES))


@pytest.mark.parametrize("shape", [(784,), (1, 28, 28), (28, 28), ()], ids=str)
def test_inputs_of_any_shape(shape: tuple[int, ...]):
    x = torch.randn(30, *shape, generator=torch.Generator().manual_seed(0))
    flat = x.reshape(30, -1)
    assert pair_distances(x, 2.0) == pair_distances(flat, 2.0) == pair_distances(flat.numpy(), 2.0)


@pytest.mark.parametrize("far", [0.0, 1e3, 1e6], ids=str)
def test_distances_against_direct_differences(far: float):
    """They agree wherever the data lie. At 1e6 the float64 inputs themselves hold their differences
    to 1e-10."""
    x = torch.randn(40, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + far
    direct = (x[:, None] - x[None]).norm(dim=2).numpy()
    np.testing.assert_allclose(distances(x), direct, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6], ids=str)
@pytest.mark.parametrize("n", [20, 37, 61])
@pytest.mark.parametrize("d", [1, 5, 17, 784])
def test_copies_are_0_apart_and_neighbours_are_not(d: int, n: int, scale: float):
    """A neighbour a few float32 rounding steps away differs from a copy, wherever each falls in the
    blocks of the matrix product."""
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(0))
    x[1:, 0], x[0, 0] = x[1:, 0] / 4, 1.0
    copies, neighbour = torch.cat([x, x]), x[:1].clone()
    neighbour[0, 0] += 16 * torch.finfo(torch.float32).eps * math.sqrt(d)
    apart = distances(scale * torch.cat([copies, neighbour]))
    assert np.diag(apart).max() == 0 and np.diag(apart, n)[:n].max() == 0
    assert apart[0, -1] > 0 and apart[n, -1] > 0
    assert np.array_equal(apart, apart.T)


def test_centred_copies_are_exactly_zero():
    assert np.full(97, 1 / 3).mean() != 1 / 3, "the mean of equal numbers is rounded"
    assert not centred(np.full((97, 3), 1 / 3)).any()
    assert (
        abs(centred(torch.randn(50, 3, generator=torch.Generator().manual_seed(0))).mean(0)).max()
        < 1e-15
    )


def test_identical_inputs_are_0_apart():
    assert pair_distances(torch.full((50, 3), 1 / 3), unit=1.0) == (
        0.0,
        0.0,
        [0.0] * len(QUANTILES),
    )


@pytest.mark.parametrize(
    ("x", "unit"), [(torch.ones(1, 3), 1.0), (torch.ones(5, 3), 0.0)], ids=["one input", "unit 0"]
)
def test_nothing_to_measure_gives_nan(x: torch.Tensor, unit: float):
    mean, sd, quantiles = pair_distances(x, unit)
    assert all(math.isnan(value) for value in (mean, sd, *quantiles)) and len(quantiles) == len(
        QUANTILES
    )


def test_the_inputs_are_not_changed():
    x = np.arange(12.0).reshape(4, 3)
    pair_distances(x, 1.0)
    assert np.array_equal(x, np.arange(12.0).reshape(4, 3))
