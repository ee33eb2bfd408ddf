"""The contract of a form: a function of sizes with parameters that have names, ranges and a source.

A form is computed in *centred* inputs: each logarithm less its mean, the measure divided by its
typical value. So every table looks alike to the solver, whatever its units.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import numpy as np

LEAST = 1e-8
"""A coefficient this small, in units of the typical measure, is 0."""
STEP = 1e-30
"""Of a complex step, which loses no digits however short it is (Squire & Trapp 1998)."""


class Parameter(NamedTuple):
    """A parameter as the user sees it. low and high: the ends of its range, in `unit`; NaN where
    the table sets them."""

    key: str
    symbol: str
    low: float
    high: float
    unit: str
    meaning: str


class Scale(NamedTuple):
    """What centring took out. centre: (m,) mean logarithm of each input, or the mean of a linear
    input. measure: the typical value of y."""

    centre: np.ndarray
    measure: float


Value = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""z (P, k), real or complex, and centred inputs (m, K) to values (P, K)."""
Slopes = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""The same, to values (P, K) and their derivatives (P, K, k)."""
Ranges = Sequence[tuple[float, float]]
Grids = Sequence[Sequence[float] | np.ndarray]


@dataclass(frozen=True)
class Form:
    """A form by name.

    inputs: the roles it needs. headline: keys of the exponents. own: key of an exponent → the
    number of the one z that it depends on, for profile intervals. linear: the first so many of z
    are coefficients. mirrored: coefficients that turn negative where the measure goes the other way
    than `rises` says. ranges: centred inputs → the range of each z. grids: centred inputs → the
    values of each non-linear z from which searches start. units: z and a Scale → parameters in the
    user's units. slopes: values and derivatives, where they are quicker than by complex steps.
    apart: roles that are not centred, because the form is no longer of its kind in other units.
    begin: where coefficients start, in place of equal shares of the typical measure.
    """

    name: str
    formula: str
    inputs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    headline: tuple[str, ...]
    measure: str
    source: str
    value: Value
    linear: int
    ranges: Callable[[np.ndarray], Ranges]
    grids: Callable[[np.ndarray], Grids]
    units: Callable[[np.ndarray, Scale], np.ndarray]
    slopes: Slopes | None = None
    mirrored: tuple[int, ...] = ()
    rises: bool = False
    apart: tuple[str, ...] = ()
    own: dict[str, int] = field(default_factory=dict)
    begin: tuple[float, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys of the parameters."""
        return tuple(parameter.key for parameter in self.parameters)

    def evaluate(self, z: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values (P, K) and derivatives (P, K, k) at z (P, k)."""
        if self.slopes is not None:
            return self.slopes(z, inputs)
        count, k = z.shape
        steps = z[None] + 1j * STEP * np.eye(k)[:, None, :]
        values = self.value(steps.reshape(k * count, k), inputs).reshape(k, count, -1)
        return np.real(values[0]), np.moveaxis(np.imag(values), 0, -1) / STEP

    def starts(self, inputs: np.ndarray) -> np.ndarray:
        """Return the non-linear z, (S, k − linear), from which searches start."""
        return np.array(list(product(*self.grids(inputs))), float)


def columns(z: np.ndarray) -> np.ndarray:
    """Return parameters (k, P, 1) of z (P, k), one by one beside inputs (K,)."""
    return z.T[:, :, None]


def stacked(slopes: Sequence[np.ndarray]) -> np.ndarray:
    """Return derivatives (P, K, k) from one array (P, K) for each of k parameters.

    The K rows of a table lie next to one another in memory, because the solver goes through them.
    """
    return np.stack(slopes, axis=1).transpose(0, 2, 1)
