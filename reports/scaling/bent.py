"""Forms of one size that bend: A + B·ln x, levelling off, two power laws that meet at a knee, and
broken neural scaling laws."""

import numpy as np

from reports.scaling.form import LEAST, Form, Grids, Parameter, Scale, columns, stacked

MEASURE = "unit of the measure"
ANY = "any measure above 0"
SHAPES = "the shapes of this report's own law: reports/fits/shapes.py"
SLOPES = (-4.0, 4.0)


def _size(key: str, symbol: str, meaning: str) -> Parameter:
    nan = float("nan")
    return Parameter(key, symbol, nan, nan, "unit of x", meaning)


def _logarithm_units(z: np.ndarray, scale: Scale) -> np.ndarray:
    a, b = z.T * scale.measure
    return np.column_stack([a - b * scale.centre[0], b])


LOGARITHM = Form(
    name="logarithm",
    formula="y = A + B·ln x",
    inputs=("X",),
    parameters=(
        Parameter("A", "A", -np.inf, np.inf, MEASURE, "the measure at x = 1"),
        Parameter("B", "B", -np.inf, np.inf, MEASURE, "what a factor of e in x adds"),
    ),
    headline=("B",),
    own={"B": 1},
    begin=(1, 0),
    measure="any measure",
    source=SHAPES,
    value=lambda z, x: columns(z)[0] + columns(z)[1] * x[0],
    linear=2,
    ranges=lambda x: [(-np.inf, np.inf)] * 2,
    grids=lambda x: [],
    units=_logarithm_units,
)


def _inner(x: np.ndarray, count: int) -> np.ndarray:
    """Return places between the second size and the last but one, where a curve can bend."""
    sizes = np.unique(x[0])
    ends = sizes[1:-1] if len(sizes) > 2 else sizes
    return np.linspace(ends[0], ends[-1], count)


def _within(x: np.ndarray) -> tuple[float, float]:
    return float(x[0].min()), float(x[0].max())


def _levelling(z: np.ndarray, x: np.ndarray) -> np.ndarray:
    a, b, knee = columns(z)
    return a * np.exp(b * np.where(x[0] < np.real(knee), x[0] - knee, 0))


def _broken(z: np.ndarray, x: np.ndarray) -> np.ndarray:
    a, below, above, knee = columns(z)
    return a * np.exp(np.where(x[0] < np.real(knee), below, above) * (x[0] - knee))


def _knee_units(z: np.ndarray, scale: Scale) -> np.ndarray:
    out = z.copy()
    out[:, 0] *= scale.measure
    out[:, -1] = np.exp(z[:, -1] + scale.centre[0])
    return out


_LEVEL = Parameter("A", "A", 0, np.inf, MEASURE, "the measure at the knee")
_KNEE = _size("knee", "k", "the size at which the slope changes")

LEVELLING = Form(
    name="levelling",
    formula="y = A·(min(x, k)/k)^b",
    inputs=("X",),
    parameters=(_LEVEL, Parameter("b", "b", *SLOPES, "", "exponent below the knee"), _KNEE),
    headline=("b",),
    own={"b": 1},
    measure=ANY,
    source=SHAPES,
    value=_levelling,
    linear=1,
    ranges=lambda x: [(LEAST, np.inf), SLOPES, _within(x)],
    grids=lambda x: [(-0.5, 0.5), _inner(x, 12)],
    units=_knee_units,
)
BROKEN = Form(
    name="broken",
    formula="y = A·(x/k)^(b₁ below k, b₂ above)",
    inputs=("X",),
    parameters=(
        _LEVEL,
        Parameter("b1", "b₁", *SLOPES, "", "exponent below the knee"),
        Parameter("b2", "b₂", *SLOPES, "", "exponent above the knee"),
        _KNEE,
    ),
    headline=("b1", "b2"),
    own={"b1": 1, "b2": 2},
    measure=ANY,
    source=SHAPES,
    value=_broken,
    linear=1,
    ranges=lambda x: [(LEAST, np.inf), SLOPES, SLOPES, _within(x)],
    grids=lambda x: [(-0.5, 0.5), (-0.5, 0.5), _inner(x, 12)],
    units=_knee_units,
)

SOURCE = "Caballero et al. 2023, arXiv 2210.14891, equation 1"
SHARPNESS = (0.02, 4.0)
"""The range of f: below it a break is a corner, above it nothing that a table can show."""
REACH = 0.7
"""A break may lie this far beyond the ends of the sizes, in natural logarithms."""


def _softplus(w: np.ndarray) -> np.ndarray:
    """Return log(1 + e^w) without overflow."""
    small = np.where(np.real(w) < 40, w, 0)
    return np.where(np.real(w) < 40, np.log1p(np.exp(small)), w)


def _bnsl(z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return values (P, K) for z = a, b, c0 and, of each break, c, log d and log f."""
    return _bnsl_slopes(z, x)[0]


def _bnsl_slopes(z: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b, c0, *breaks = columns(z)
    power = -c0 * x[0]
    of_power = [np.broadcast_to(-x[0], power.shape)]
    for c, d, log_f in zip(breaks[::3], breaks[1::3], breaks[2::3], strict=True):
        f = np.exp(log_f)
        w = (x[0] - d) / f
        bent = f * _softplus(w)
        passed = np.exp(w - _softplus(w))
        power = power - c * bent
        of_power += [-bent, c * passed, -c * (bent - f * w * passed)]

    grown = np.exp(power)
    slopes = [np.ones_like(grown), grown, *(b * grown * slope for slope in of_power)]
    return a + b * grown, stacked(slopes)


def _bnsl_units(z: np.ndarray, scale: Scale) -> np.ndarray:
    out = z.copy()
    out[:, 0] = np.where(z[:, 0] > LEAST, z[:, 0], 0) * scale.measure
    out[:, 1] *= scale.measure * np.exp(z[:, 2] * scale.centre[0])
    out[:, 4::3] = np.exp(z[:, 4::3] + scale.centre[0])
    out[:, 5::3] = np.exp(z[:, 5::3])

    # Breaks have no order of their own: the smaller comes first.
    breaks = out[:, 3:].reshape(len(z), -1, 3)
    order = breaks[:, :, 1].argsort(1)
    out[:, 3:] = np.take_along_axis(breaks, order[:, :, None], 1).reshape(len(z), -1)
    return out


def _bnsl_form(name: str, breaks: int) -> Form:
    numbers = ["₁", "₂"][:breaks]
    parameters = [
        Parameter("a", "a", 0, np.inf, MEASURE, "the level far beyond every break"),
        Parameter("b", "b", -np.inf, np.inf, MEASURE, "what changes with size, at x = 1"),
        Parameter("c0", "c₀", *SLOPES, "", "exponent of decay before the first break"),
    ]
    for i, number in enumerate(numbers, 1):
        parameters += [
            Parameter(f"c{i}", f"c{number}", -20, 20, "", f"what break {i} adds to the exponent"),
            _size(f"d{i}", f"d{number}", f"the size of break {i}"),
            Parameter(f"f{i}", f"f{number}", *SHARPNESS, "", f"the width of break {i}"),
        ]
    sharp = (float(np.log(SHARPNESS[0])), float(np.log(SHARPNESS[1])))
    widths = np.log([0.03, 0.1, 0.4]) if breaks == 1 else np.log([0.1])

    def ranges(x: np.ndarray) -> list[tuple[float, float]]:
        low, high = _within(x)
        ends = [(-20.0, 20.0), (low - REACH, high + REACH), sharp]
        return [(LEAST, np.inf), (-np.inf, np.inf), SLOPES, *ends * breaks]

    def grids(x: np.ndarray) -> Grids:
        places = 12 if breaks == 1 else 5
        changes = (-0.3, 0.3, 1.5, 5.0) if breaks == 1 else (-1.0, 1.0)
        return [(-0.3, 0.05, 0.4), *[changes, _inner(x, places), widths] * breaks]

    powers = "·".join(f"(1 + (x/d{n})^(1/f{n}))^(−c{n}·f{n})" for n in numbers)
    return Form(
        name=name,
        formula=f"y = a + b·x^(−c₀)·{powers}",
        inputs=("X",),
        parameters=tuple(parameters),
        headline=tuple(p.key for p in parameters if p.key.startswith("c")),
        own={"c0": 2, "c1": 3} if breaks == 1 else {"c0": 2},
        measure="any measure above 0",
        source=SOURCE,
        value=_bnsl,
        slopes=_bnsl_slopes,
        linear=2,
        ranges=ranges,
        grids=grids,
        units=_bnsl_units,
    )


BNSL = _bnsl_form("bnsl", 1)
BNSL_2 = _bnsl_form("bnsl-2", 2)
