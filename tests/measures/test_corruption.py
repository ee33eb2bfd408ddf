"""Corruptions equal rolled, turned and averaged images, and do known damage to a classifier whose
answers are known.

Run alone: python -m pytest tests/measures/test_corruption.py
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from harness.measures.corruption import (
    SIZES,
    VARIATIONS,
    corrupt,
    corruption_response,
    corruption_rows,
    corruptions,
    draw_directions,
)

BOX = (0.0, 1.0)
BOXES = [(0.0, 1.0), (-0.4, 2.8), (0.0, 255.0)]


def images(
    n: int, *shape: int, box: tuple[float, float] = BOX, dtype: torch.dtype = torch.float32
) -> Tensor:
    lo, hi = box
    return lo + (hi - lo) * torch.rand(
        n, *shape, generator=torch.Generator().manual_seed(0), dtype=dtype
    )


def directions(n: int, seed: int = 0) -> Tensor:
    return draw_directions(n, torch.Generator().manual_seed(seed))


def heading(right: float, down: float, turn: float = 1.0, n: int = 3) -> Tensor:
    return torch.tensor([[right, down, turn]]).repeat(n, 1)


def assert_close(found: Tensor, expected: Tensor, box: tuple[float, float] = BOX) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * (box[1] - box[0]))


# One at a time


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 31), (1, 1, 1)])
@pytest.mark.parametrize("kind", SIZES)
def test_size_zero_is_the_image_itself(kind: str, shape: tuple[int, ...], box: tuple[float, float]):
    x = images(6, *shape, box=box)
    assert_close(corrupt(x, kind, 0.0, directions(6), box), x, box)


@pytest.mark.slow
@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("pixels", [1, 3])
@pytest.mark.parametrize(("right", "down"), [(1, 0), (0, 1), (-1, 0), (0, -1)])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 14)])
def test_a_shift_is_a_roll_with_the_least_value_rolled_in(
    shape: tuple[int, ...], right: int, down: int, pixels: int, box: tuple[float, float]
):
    x = images(3, *shape, box=box)
    expected = torch.roll(x, (down * pixels, right * pixels), dims=(2, 3))
    for step, size, dim in ((right * pixels, shape[2], 3), (down * pixels, shape[1], 2)):
        rolled_in = torch.arange(size) < step if step > 0 else torch.arange(size) >= size + step
        expected = torch.where(rolled_in if dim == 3 else rolled_in[:, None], box[0], expected)
    assert_close(corrupt(x, "shift", float(pixels), heading(right, down), box), expected, box)


@pytest.mark.slow
@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("side", [8, 9, 28])
def test_quarter_turns(side: int, quarters: int, turn: int, box: tuple[float, float]):
    x = images(3, 2, side, side, box=box)
    found = corrupt(x, "rotation", 90.0 * quarters, heading(1, 0, turn), box)
    assert_close(found, torch.rot90(x, turn * quarters, (2, 3)), box)


@pytest.mark.parametrize(("height", "width"), [(8, 16), (18, 10)])
@pytest.mark.parametrize("degrees", [30.0, 90.0])
def test_an_oblong_image_turns_like_the_middle_of_a_square_one(
    height: int, width: int, degrees: float
):
    x = images(3, 1, height, width)
    side = max(height, width)
    down, right = (side - height) // 2, (side - width) // 2
    square = torch.nn.functional.pad(x, (right, right, down, down))
    expected = corrupt(square, "rotation", degrees, heading(1, 0), BOX)[
        :, :, down : down + height, right : right + width
    ]
    assert_close(corrupt(x, "rotation", degrees, heading(1, 0), BOX), expected)


def test_a_rotation_uncovers_the_least_value():
    found = corrupt(torch.full((3, 1, 28, 28), 0.7), "rotation", 45.0, heading(1, 0), (0.2, 1.0))
    assert_close(found[:, :, [0, 0, -1, -1], [0, -1, 0, -1]], torch.full((3, 1, 4), 0.2))
    assert_close(found[:, :, 10:18, 10:18], torch.full((3, 1, 8, 8), 0.7))


@pytest.mark.parametrize("sigma", [*SIZES["blur"], 0.3])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 5, 9)])
def test_blur_keeps_a_constant(shape: tuple[int, ...], sigma: float):
    x = torch.full((3, *shape), 0.3)
    assert_close(corrupt(x, "blur", sigma, heading(1, 0), BOX), x)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_blur_of_a_dot_is_a_gaussian(sigma: float):
    """The blurred dot keeps its mass, has variance σ² along both axes (less what is cut off), and
    looks the same in every direction."""
    x = torch.zeros(1, 1, 41, 41, dtype=torch.double)
    x[0, 0, 20, 20] = 1.0
    found = corrupt(x, "blur", sigma, heading(1, 0, n=1), BOX)[0, 0]
    offsets = torch.arange(-20.0, 21.0, dtype=torch.double)

    assert float(found.sum()) == pytest.approx(1.0)
    for along in (found.sum(0), found.sum(1)):
        assert float((along * offsets.square()).sum()) == pytest.approx(sigma**2, rel=0.01)
        assert float((along * offsets).sum()) == pytest.approx(0.0, abs=1e-12)

    assert float(found[20, 22] / found[20, 20]) == pytest.approx(math.exp(-2 / sigma**2))
    assert float(found[22, 23] / found[20, 20]) == pytest.approx(
        math.exp(-(2**2 + 3**2) / 2 / sigma**2)
    )


@pytest.mark.parametrize("sigma", [1.0, 6.0])
def test_blur_is_a_convolution_with_the_border_repeated(sigma: float):
    x, reach = images(2, 3, 12, 17), int(4 * sigma)
    weights = torch.exp(-torch.arange(-reach, reach + 1.0).square() / 2 / sigma**2)
    kernel = (weights[:, None] * weights / weights.sum() ** 2).expand(3, 1, -1, -1)
    padded = torch.nn.functional.pad(x, (reach,) * 4, mode="replicate")
    assert_close(
        corrupt(x, "blur", sigma, heading(1, 0, n=2), BOX),
        torch.nn.functional.conv2d(padded, kernel, groups=3),
    )


@pytest.mark.parametrize("share", SIZES["contrast"])
def test_contrast_draws_every_channel_towards_its_mean(share: float):
    x = images(4, 3, 10, 12)
    found = corrupt(x, "contrast", share, directions(4), BOX)
    assert_close(found.mean((2, 3)), x.mean((2, 3)))
    assert_close(found.std((2, 3)), (1 - share) * x.std((2, 3)))
    pixel, mean = x[1, 2, 3, 4], x[1, 2].mean()
    assert float(found[1, 2, 3, 4]) == pytest.approx(
        float(mean + (1 - share) * (pixel - mean)), rel=1e-4
    )


# All of them


def test_twenty_variations_in_a_fixed_order():
    assert [(v.kind, v.severity) for v in VARIATIONS] == [
        (kind, severity)
        for kind in ("shift", "rotation", "blur", "contrast")
        for severity in (1, 2, 3, 4, 5)
    ]
    assert [v for v, _ in corruptions(images(2, 1, 8, 8), directions(2), BOX)] == list(VARIATIONS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_variations_are_all_different_within_the_box_and_leave_the_image_alone(dtype: torch.dtype):
    x = images(5, 3, 28, 28, dtype=dtype)
    before = x.clone()
    seen = [x, *(corrupted for _, corrupted in corruptions(x, directions(5), BOX))]
    assert torch.equal(x, before)
    for i, one in enumerate(seen):
        assert one.shape == x.shape and one.dtype == dtype
        assert 0 <= float(one.min()) and float(one.max()) <= 1
        for other in seen[:i]:
            assert float((one - other).abs().flatten(1).max(1).values.min()) > 0.01


def test_values_outside_the_box_are_clipped():
    x = 3 * images(4, 1, 28, 28) - 1
    for variation, corrupted in corruptions(x, directions(4), (0.0, 1.0)):
        assert 0 <= float(corrupted.min()) and float(corrupted.max()) <= 1, variation


def test_directions_are_drawn_evenly_from_the_generator():
    drawn = directions(40_000)
    assert torch.equal(drawn, directions(40_000)) and not torch.equal(
        drawn, directions(40_000, seed=1)
    )
    kinds, counts = drawn.unique(dim=0, return_counts=True)
    assert len(kinds) == 8 and float((counts - 5000).abs().max()) < 4 * math.sqrt(5000)
    assert torch.equal(drawn[:, :2].abs().sum(1), torch.ones(40_000)) and torch.equal(
        drawn[:, 2].abs(), torch.ones(40_000)
    )


def test_points_are_corrupted_independently():
    """A point is corrupted the same way alone and in a batch, so models measured together see what
    they would see alone."""
    x, drawn = images(6, 1, 28, 28), directions(6)
    alone = [corrupted for _, corrupted in corruptions(x[4:5], drawn[4:5], BOX)]
    for (_, together), one in zip(corruptions(x, drawn, BOX), alone, strict=True):
        assert_close(together[4:5], one)


# A classifier with known answers


def bars(n: int) -> tuple[Tensor, Tensor]:
    """Return bright upright bars of four pixels, 2 from the left side or 2 from the right (classes
    0 and 1)."""
    y = torch.arange(n) % 2
    x = torch.zeros(n, 1, 16, 16)
    x[y == 0, :, 2:14, 2:6] = 1.0
    x[y == 1, :, 2:14, 10:14] = 1.0
    return x, y


def templates(z: Tensor) -> Tensor:
    """Return (B, 2): how much of each bar is in its place. More than half of it is needed to beat a
    third answer."""
    mass = torch.stack([z[:, 0, 2:14, 2:6].mean((1, 2)), z[:, 0, 2:14, 10:14].mean((1, 2))], dim=1)
    return torch.cat([mass, torch.full((len(z), 1), 0.5)], dim=1)


def test_shifts_do_the_damage_counted_by_hand():
    """A sideways shift by one pixel leaves three quarters of a bar four pixels wide; by two or more
    it leaves at most half, which loses. A vertical shift by c leaves (12 − c)/12, which wins up to
    c = 5."""
    n = 400
    x, y = bars(n)
    drawn = directions(n)
    right, flipped = corruption_response(templates, x, y, 3, drawn, BOX)

    assert right.shape == flipped.shape == (n, 20) and right.dtype == flipped.dtype == torch.bool
    assert torch.equal(right, ~flipped), "the clean image is always classified rightly"
    sideways = drawn[:, 0] != 0
    assert bool(right[:, 0].all())

    for severity in (3, 4, 5):
        assert torch.equal(right[:, severity - 1], ~sideways)


def test_damage_grows_with_severity():
    x, y = bars(400)
    rows = corruption_rows(*corruption_response(templates, x, y, 3, directions(400), BOX))
    for kind in SIZES:
        accuracy = [row["accuracy"] for row in rows if row["kind"] == kind]
        assert all(a >= b for a, b in zip(accuracy, accuracy[1:], strict=False)), kind
        assert accuracy[0] > accuracy[-1], kind


def test_both_signs_and_real_values_of_a_scalar_target():
    """f is the brightness of the left half less that of the right. Its sign survives blur and
    contrast, and the sign decides what is right."""
    x, labels = bars(60)

    def f(z: Tensor) -> Tensor:
        return z[:, :, :, :8].sum((1, 2, 3))[:, None] - z[:, :, :, 8:].sum((1, 2, 3))[:, None]

    y = torch.where(labels == 0, 0.01, -3.0)
    right, flipped = corruption_response(f, x, y, None, directions(60), BOX)
    assert bool(right[:, 10:].all()) and not bool(flipped[:, 10:].any())
    against, _ = corruption_response(f, x, -y, None, directions(60), BOX)
    assert torch.equal(against, ~right)


def counted(model: Callable[[Tensor], Tensor]) -> tuple[Callable[[Tensor], Tensor], list[int]]:
    sizes: list[int] = []

    def counting(z: Tensor) -> Tensor:
        sizes.append(len(z))
        return model(z)

    return counting, sizes


def test_one_call_per_variation_and_one_for_the_clean_images():
    x, y = bars(10)
    model, sizes = counted(templates)
    corruption_response(model, x, y, 3, directions(10), BOX)
    assert sizes == [10] * 21


def test_the_same_directions_give_the_same_response():
    x, y = bars(100)
    one, again, other = (
        corruption_response(templates, x, y, 3, directions(100, seed), BOX) for seed in (0, 0, 1)
    )
    assert torch.equal(one.right, again.right) and torch.equal(one.flipped, again.flipped)
    assert not torch.equal(one.right, other.right)


def test_rows_of_a_response():
    right = torch.zeros(10, 20, dtype=torch.bool)
    right[:4, 7] = True
    flipped = torch.zeros(10, 20, dtype=torch.bool)
    flipped[:, 3] = True
    rows = corruption_rows(right, flipped)

    assert len(rows) == 20
    assert rows[7] == {
        "kind": "rotation",
        "severity": 3,
        "size": 34.4,
        "accuracy": 0.4,
        "accuracy_se": math.sqrt(0.024),
        "flip_rate": 0.0,
    }

    assert rows[3] == {
        "kind": "shift",
        "severity": 4,
        "size": 4.0,
        "accuracy": 0.0,
        "accuracy_se": 0.0,
        "flip_rate": 1.0,
    }
