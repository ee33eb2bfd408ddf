"""The designs that truths are planted in: the cells of the shipped sweeps, and the spreads that
were measured in stores of them.

The sizes and the smallest size below the noise (`onset`) of mnist-law-60k and gpt-law-noise are
those of the stores in reports/examples. Elsewhere the onset is a multiple of n, as it was found
there and in the sphere trials of the quickstart. `tests/reports/selftest/test_designs.py` holds the
cells equal to the sweep files' and the two onsets to the stores'.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Spread(NamedTuple):
    """Standard deviations of log stability, and of the slope of log stability in log p.

    slope: of a curve's slope around the truth, τ. level: of a curve's level around the truth. cell:
    of a cell, the same for all its seeds. shared: of a seed, the same for all cells of its curve,
    since they see the same data. seed: of a single trial.
    """

    slope: float
    level: float
    cell: float
    shared: float
    seed: float


class Curve(NamedTuple):
    """Cells that differ in size alone. Sizes below `onset` miss the stop rule."""

    n: int
    d: int
    sizes: tuple[int, ...]
    seeds: int
    onset: float


class PlantedKind(NamedTuple):
    """A kind of trials of one task. `row`: the columns that say what was trained on which noise;
    `settings`: the configuration besides n and d."""

    row: dict[str, Any]
    settings: dict[str, Any]
    curves: tuple[Curve, ...]
    spread: Spread


class Design(NamedTuple):
    """One sweep's kinds."""

    name: str
    kinds: tuple[PlantedKind, ...]


ON_SPHERE = Spread(slope=0.025, level=0.03, cell=0.03, shared=0.06, seed=0.04)
ON_DIGITS = Spread(slope=0.022, level=0.05, cell=0.04, shared=0.06, seed=0.07)
ON_TEXT = Spread(slope=0.025, level=0.05, cell=0.08, shared=0.07, seed=0.14)

SPHERE_ONSET = 0.55
DIGITS_ONSET = 1.5
INTERPOLATED = 3.0
"""Onsets as multiples of n: the sphere at its noise level, digits at theirs, and both where every
label has to be fitted."""


def sphere_size(width: int, d: int) -> int:
    """Return the parameters of the two-layer network on the sphere."""
    return width * (d + 2) + 1


def parity_size(width: int, d: int) -> int:
    """Return the parameters of the two-layer network for the parity of digits of d pixels."""
    return width * (d + 2) + 1


def digits_size(width: int, d: int) -> int:
    """Return the parameters of the two-layer network for the ten digits of d pixels."""
    return width * (d + 11) + 10


def gpt_size(width: int, d: int) -> int:
    """Return the parameters of the two-layer GPT on windows of 16 bytes, each embedded in 8
    dimensions; d is 128."""
    return 24 * width**2 + 308 * width


def _curves(
    ns: Sequence[int],
    ds: Sequence[int],
    widths: Sequence[int],
    size: Callable[[int, int], int],
    seeds: int,
    onset: float,
) -> tuple[Curve, ...]:
    """Return a curve for every n and d. onset: the smallest size below the noise, as a
    multiple of n."""
    return tuple(
        Curve(n, d, tuple(size(width, d) for width in widths), seeds, onset * n)
        for n in ns
        for d in ds
    )


def _sphere(curves: tuple[Curve, ...], noise: float = 1.0, stop: str = "noise") -> PlantedKind:
    """Return a kind of sphere trials. noise: its amplitude; 1 is pure noise."""
    sigma2 = noise**2
    row = {
        "task": "sphere",
        "family": "sphere",
        "outputs": 1,
        "noise_kind": "additive_sign",
        "sigma2": sigma2,
        "epsilon": sigma2 / 2,
        "bayes_error": 0.5 if noise == 1 else 0.2,
        "isoperimetry": "proved",
        "stop_rule": stop,
    }
    settings = {"noise": noise, "stop": stop}
    return PlantedKind(row, settings, curves, ON_SPHERE)


def _parity(curves: tuple[Curve, ...], flipped: float, stop: str | None = None) -> PlantedKind:
    """Return a kind of parity trials with this share of labels flipped. stop: their stop rule; if
    left out, interpolation where none is flipped."""
    sigma2 = 4 * flipped * (1 - flipped)
    stop = stop or ("noise" if flipped else "interpolate")
    row = {
        "task": "mnist",
        "family": "mnist-mlp",
        "outputs": 1,
        "noise_kind": "label_flip" if flipped else "none",
        "eta": flipped,
        "sigma2": sigma2,
        "epsilon": sigma2 / 2,
        "bayes_error": flipped,
        "isoperimetry": "assumed",
        "stop_rule": stop,
    }
    settings = {"head": "parity", "label_flip": flipped, "stop": stop}
    return PlantedKind(row, settings, curves, ON_DIGITS)


def _classes(
    task: str,
    family: str,
    classes: int,
    curves: tuple[Curve, ...],
    redrawn: float,
    spread: Spread,
) -> PlantedKind:
    """Return a kind with several classes and this share of labels redrawn; none redrawn: trained
    to interpolation."""
    bayes_error = redrawn * (1 - 1 / classes)
    stop = "noise" if redrawn else "interpolate"
    noise_kind = "target_resample" if task == "text" else "label_resample"
    row = {
        "task": task,
        "family": family,
        "outputs": classes,
        "noise_kind": noise_kind if redrawn else "none",
        "eta": redrawn,
        "epsilon": bayes_error / 2,
        "bayes_error": bayes_error,
        "isoperimetry": "assumed",
        "stop_rule": stop,
    }
    settings = {"head": "digits", "redrawn": redrawn, "stop": stop}
    return PlantedKind(row, settings, curves, spread)


def _ten_digits(curves: tuple[Curve, ...], redrawn: float) -> PlantedKind:
    return _classes("mnist", "mnist-mlp", 10, curves, redrawn, ON_DIGITS)


def _gpt(curves: tuple[Curve, ...], redrawn: float) -> PlantedKind:
    return _classes("text", "gpt", 256, curves, redrawn, ON_TEXT)


def _rounded_geometric(first: int, last: int, count: int) -> tuple[int, ...]:
    """Return `count` whole widths in equal ratios, as `geomspace` in a sweep file gives them."""
    ratio = (last / first) ** (1 / (count - 1))
    return tuple(round(first * ratio**i) for i in range(count))


def _of_sixty_thousand(onsets: Sequence[float]) -> tuple[Curve, ...]:
    """Return the three curves of one noise level of mnist-law-60k."""
    widths = (1, 2, 5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560)
    sizes = tuple(parity_size(width, 784) for width in widths)
    by_n = zip((1_000, 10_000, 60_000), (3, 2, 1), onsets, strict=True)
    return tuple(Curve(n, 784, sizes, seeds, onset) for n, seeds, onset in by_n)


def _of_gpt_law(redrawn: float) -> PlantedKind:
    """Return the curves of one noise level of gpt-law-noise."""
    widths = {400: (8, 16, 32, 64, 128), 1_200: (8, 16, 32, 64, 128)}
    onsets = {400: 11_072, 1_200: 11_072, 4_000: 34_432}
    if redrawn:
        widths = {n: (*own, 256) for n, own in widths.items()}
        widths[4_000] = (8, 16, 32, 64, 96, 128)
    curves = tuple(
        Curve(n, 128, tuple(gpt_size(width, 128) for width in own), 2, onsets[n])
        for n, own in widths.items()
    )
    return _gpt(curves, redrawn)


NINE_TO_2048 = _rounded_geometric(8, 2048, 9)
NINE_TO_1024 = _rounded_geometric(4, 1024, 9)
SEVEN_TO_1024 = _rounded_geometric(16, 1024, 7)
EIGHT_TO_1024 = _rounded_geometric(8, 1024, 8)
POWERS_TO_512 = (8, 16, 32, 64, 128, 256, 512)

SPHERE_LAW = Design(
    "sphere-law",
    (
        _sphere(
            _curves(
                (128, 256, 512, 1024), (8, 16, 32, 64), NINE_TO_2048, sphere_size, 3, SPHERE_ONSET
            )
        ),
        _sphere(
            (
                *_curves((128, 256, 512), (16,), NINE_TO_1024, sphere_size, 3, INTERPOLATED),
                *_curves((256, 512), (8, 32, 64), SEVEN_TO_1024, sphere_size, 3, INTERPOLATED),
            ),
            stop="interpolate",
        ),
        _sphere(
            _curves((256, 512, 1024), (16,), NINE_TO_2048, sphere_size, 3, SPHERE_ONSET), noise=0.5
        ),
    ),
)

MNIST_LAW = Design(
    "mnist-law",
    (
        *(
            _parity(
                _curves(
                    (500, 1000, 2000, 4000), (784,), NINE_TO_1024, parity_size, 3, DIGITS_ONSET
                ),
                flipped,
            )
            for flipped in (0.1, 0.2, 0.4)
        ),
        _parity(
            _curves((500, 1000, 2000, 4000), (784,), NINE_TO_1024, parity_size, 3, INTERPOLATED),
            0.2,
            stop="interpolate",
        ),
        _parity(_curves((1000, 4000), (784,), NINE_TO_1024, parity_size, 3, INTERPOLATED), 0.0),
        _ten_digits(
            _curves((1000, 4000), (784,), EIGHT_TO_1024, digits_size, 3, DIGITS_ONSET), 0.3
        ),
    ),
)

MNIST_LAW_60K = Design(
    "mnist-law-60k",
    (
        _parity(_of_sixty_thousand((3_931, 15_721, 125_761)), 0.2),
        _parity(_of_sixty_thousand((1_573, 15_721, 125_761)), 0.4),
        _parity(_of_sixty_thousand((7_861, 31_441, 125_761)), 0.0),
    ),
)

GPT_LAW = Design("gpt-law-noise", tuple(_of_gpt_law(redrawn) for redrawn in (0.1, 0.3, 0.0)))

QUICKSTART = Design(
    "quickstart",
    (
        _sphere(_curves((128, 256, 512), (8, 16, 32), POWERS_TO_512, sphere_size, 2, SPHERE_ONSET)),
        _sphere(
            _curves(
                (128, 256, 512),
                (16,),
                (4, 8, 16, 32, 64, 128, 256),
                sphere_size,
                2,
                INTERPOLATED,
            )
            + _curves((128,), (64,), (4, 8, 16, 32), sphere_size, 2, INTERPOLATED),
            stop="interpolate",
        ),
        _parity(
            _curves(
                (500, 1000, 2000),
                (784,),
                (2, 4, *POWERS_TO_512),
                parity_size,
                2,
                DIGITS_ONSET,
            ),
            0.2,
        ),
        _ten_digits(_curves((2000,), (784,), POWERS_TO_512, digits_size, 2, DIGITS_ONSET), 0.3),
        _ten_digits(
            _curves((4000,), (784,), (2, 4, 8, 16, 32, 64, 128, 256), digits_size, 2, INTERPOLATED),
            0.0,
        ),
        _gpt(_curves((400,), (128,), (16, 24, 32, 48, 64), gpt_size, 2, 8.6), 0.3),
    ),
)

DESIGNS = (SPHERE_LAW, MNIST_LAW, MNIST_LAW_60K, GPT_LAW, QUICKSTART)
