"""Sums of powers: the forms that are a floor and terms such as A/N^α, or one such term alone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reports.scaling.form import LEAST, Form, Parameter, Scale, columns

EXPONENTS = (0.01, 3.0)
"""The range of exponents of decay."""
SIGNED = (-4.0, 4.0)
"""The range of exponents of forms without a floor, which may rise or fall."""
GRID = np.geomspace(0.05, 1.5, 7)


class Term(NamedTuple):
    """One coefficient times powers of inputs. powers: number of the input → number of its exponent
    in z."""

    coefficient: int
    powers: dict[int, int]


class PowerSum(NamedTuple):
    """A floor, which is z[0] where there is one, and terms. sign: −1 where exponents count decay,
    +1 where they count growth."""

    floor: bool
    terms: tuple[Term, ...]
    sign: int

    def value(self, z: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Return values (P, K) at z (P, k)."""
        return self.slopes(z, inputs)[0]

    def slopes(self, z: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values (P, K) and derivatives (P, K, k) at z (P, k)."""
        parameters = columns(z)
        total = np.zeros((len(z), inputs.shape[1]), z.dtype)
        # A table's rows lie next to one another in memory, because the solver goes through them.
        slopes = np.zeros((len(z), z.shape[1], inputs.shape[1]), z.dtype)
        if self.floor:
            total += parameters[0]
            slopes[:, 0] = 1

        for coefficient, powers in self.terms:
            power = sum(self.sign * parameters[e] * inputs[i] for i, e in powers.items())
            shrunk = np.exp(power, out=slopes[:, coefficient])
            term = parameters[coefficient] * shrunk
            total += term
            for i, e in powers.items():
                slopes[:, e] += term * (self.sign * inputs[i])
        return total, slopes.transpose(0, 2, 1)

    def units(self, z: np.ndarray, scale: Scale) -> np.ndarray:
        """Return parameters (P, k) in the user's units. A coefficient at its end is 0."""
        linear = len(self.terms) + self.floor
        out = z.copy()
        out[:, :linear] = np.where(np.abs(z[:, :linear]) > LEAST, z[:, :linear], 0) * scale.measure
        for coefficient, powers in self.terms:
            shift = sum(z[:, e] * scale.centre[i] for i, e in powers.items())
            out[:, coefficient] *= np.exp(-self.sign * shift)
        return out


def _form(
    name: str,
    formula: str,
    inputs: tuple[str, ...],
    parameters: Sequence[Parameter],
    source: str,
    sums: PowerSum,
    measure: str = "loss or error",
) -> Form:
    linear = len(sums.terms) + sums.floor
    exponents = parameters[linear:]
    ranges = [(LEAST, np.inf)] * linear + [(p.low, p.high) for p in exponents]
    grid = GRID if sums.sign < 0 else np.linspace(-1, 1, 5)
    return Form(
        name=name,
        formula=formula,
        inputs=inputs,
        parameters=tuple(parameters),
        headline=tuple(p.key for p in exponents),
        own={p.key: linear + i for i, p in enumerate(exponents)},
        measure=measure,
        source=source,
        value=sums.value,
        slopes=sums.slopes,
        linear=linear,
        ranges=lambda x: ranges,
        grids=lambda x: [grid] * len(exponents),
        units=sums.units,
        mirrored=tuple(term.coefficient for term in sums.terms) if sums.floor else (),
    )


def _coefficient(key: str, meaning: str, symbol: str = "") -> Parameter:
    return Parameter(key, symbol or key, 0, np.inf, "unit of the measure", meaning)


def _exponent(key: str, symbol: str, meaning: str, ends: tuple[float, float] = EXPONENTS):
    return Parameter(key, symbol, *ends, "", meaning)


FLOOR = _coefficient("E", "what no size takes away")
ANY = "any measure above 0"

POWER = _form(
    "power",
    "y = A·x^b",
    ("X",),
    (_coefficient("A", "the measure at x = 1"), _exponent("b", "b", "exponent in x", SIGNED)),
    "Hestness et al. 2017, arXiv 1712.00409",
    PowerSum(False, (Term(0, {0: 1}),), +1),
    ANY,
)
SATURATING = _form(
    "saturating",
    "y = E + A/x^α",
    ("X",),
    (
        FLOOR,
        _coefficient("A", "what falls, at x = 1"),
        _exponent("alpha", "α", "exponent of the fall"),
    ),
    "Rosenfeld et al. 2020, arXiv 1909.12673; Henighan et al. 2020, arXiv 2010.14701, equation 1.1",
    PowerSum(True, (Term(1, {0: 2}),), -1),
)
CHINCHILLA = _form(
    "chinchilla",
    "L = E + A/N^α + B/D^β",
    ("N", "D"),
    (
        FLOOR,
        _coefficient("A", "what falls with N, at N = 1"),
        _coefficient("B", "what falls with D, at D = 1"),
        _exponent("alpha", "α", "exponent of N"),
        _exponent("beta", "β", "exponent of D"),
    ),
    "Hoffmann et al. 2022, arXiv 2203.15556, equation 2",
    PowerSum(True, (Term(1, {0: 3}), Term(2, {1: 4})), -1),
)
TIED = _form(
    "chinchilla-tied",
    "L = E + A/N^α + B/D^α",
    ("N", "D"),
    (*CHINCHILLA.parameters[:3], _exponent("alpha", "α", "exponent of N and of D")),
    "Muennighoff et al. 2023, arXiv 2305.16264, which ties the exponents of Hoffmann et al. 2022,"
    " arXiv 2203.15556, equation 2",
    PowerSum(True, (Term(1, {0: 3}), Term(2, {1: 3})), -1),
)
TWO_VARIABLE = _form(
    "two-variable",
    "y = A·N^a·D^b",
    ("N", "D"),
    (
        _coefficient("A", "the measure at N = D = 1"),
        _exponent("a", "a", "exponent of N", SIGNED),
        _exponent("b", "b", "exponent of D", SIGNED),
    ),
    "Li et al. 2025, arXiv 2503.04715 (Step Law): the best learning rate, or batch, against N"
    " and D",
    PowerSum(False, (Term(0, {0: 1, 1: 2}),), +1),
    "learning rate, batch size or any measure above 0",
)
