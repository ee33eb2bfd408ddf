"""How often 95 % intervals of scaling fits hold the truth, on simulated tables.

    .venv/bin/python -m tests.benchmarks.fit_coverage [FORM[:CELLS] …] [--tables 100] [--models]

For every form, number of cells, range of sizes and noise: tables are planted and fitted as shipped,
bootstrap and profiles included. One line of a Markdown table each:

- *least*: coverage of the parameter that is held least often, and its name. At a true coverage of
  .95 and 100 tables, its standard error is .022, and the least of five parameters is expected near
  .92.
- *mean*: over the parameters.
- *width*: median width of the interval of the first exponent, as a share of the exponent.
- *none*: share of tables without an interval.

Noise multiplies the measure by exp(noise × standard normal), or by Student's t with three degrees
of freedom scaled to the same variance. With --models, every training run gives ten rows, whose
noise is nine tenths in common, and cells count runs. Kaplan's N_c and D_c are left out of *least*:
they lie far outside the table.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from reports.scaling.fitting import fit_form
from reports.scaling.points import Points

SIDES = {9: (3, 3), 12: (4, 3), 25: (5, 5), 100: (10, 10), 400: (20, 20)}
"""Cells of a grid of N and D to its sides."""


class Truth(NamedTuple):
    """A form's parameters, its cells, and its measure at inputs. judged: the parameters whose
    coverage counts."""

    parameters: tuple[float, ...]
    cells: tuple[int, ...]
    measure: Callable[..., np.ndarray]
    two: bool
    judged: tuple[str, ...]


TRUTHS = {
    "power": Truth((3.0, -0.2), (9, 12, 25, 100, 400), lambda x, a, b: a * x**b, False, ("A", "b")),
    "saturating": Truth(
        (1.5, 300.0, 0.4),
        (9, 12, 25, 100, 400),
        lambda x, e, a, alpha: e + a * x**-alpha,
        False,
        ("E", "A", "alpha"),
    ),
    "chinchilla-tied": Truth(
        (1.8, 400.0, 1500.0, 0.34),
        (9, 12, 25, 100, 400),
        lambda n, d, e, a, b, alpha: e + a * n**-alpha + b * d**-alpha,
        True,
        ("E", "A", "B", "alpha"),
    ),
    "kaplan": Truth(
        (8.8e13, 5.4e13, 0.076, 0.095),
        (9, 12, 25, 100, 400),
        lambda n, d, nc, dc, p, q: ((nc / n) ** (p / q) + dc / d) ** q,
        True,
        ("alpha_N", "alpha_D", "compute_exponent"),
    ),
    "two-variable": Truth(
        (1.79, -0.713, 0.307),
        (9, 12, 25, 100, 400),
        lambda n, d, a, p, q: a * n**p * d**q,
        True,
        ("A", "a", "b"),
    ),
    "chinchilla": Truth(
        (1.8172, 477.8, 2143.0, 0.3473, 0.3672),
        (12, 25, 100, 400),
        lambda n, d, e, a, b, p, q: e + a * n**-p + b * d**-q,
        True,
        ("E", "A", "B", "alpha", "beta", "compute_exponent"),
    ),
}
ROWS = 10
"""Rows of each model in tables whose rows share models."""
SHARED = 0.9
"""Share of their noise's variance that a model's rows have in common."""
MODELS = (12, 22, 60)
NOISES = ((0.003, "normal"), (0.003, "t3"), (0.03, "normal"))
RANGES = (2, 3)
"""Decades of each size."""


def places(cells: int, decades: int, two: bool) -> dict[str, np.ndarray]:
    """Return the inputs of a design."""
    if not two:
        return {"X": np.geomspace(1e6, 1e6 * 10**decades, cells)}
    rows, columns = SIDES[cells]
    n = np.geomspace(1e7, 1e7 * 10**decades, rows)
    d = np.geomspace(1e9, 1e9 * 10**decades, columns)
    return dict(zip("ND", (v.ravel() for v in np.meshgrid(n, d)), strict=True))


def runs(models: int, decades: int, two: bool) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return inputs and clusters of training runs that give ROWS rows each: of N models each with
    its own tokens, or of sizes close to one another."""
    model = np.repeat(np.arange(models), ROWS)
    share = np.tile(np.arange(ROWS), models) / (ROWS - 1)
    if not two:
        return {"X": np.geomspace(1e6, 1e6 * 10**decades, models)[model] * 1.2**share}, model
    n = np.geomspace(1e7, 1e7 * 10**decades, models)[model]
    return {"N": n, "D": 1e9 * 10 ** (decades * share)}, model


def noise(rng: np.random.Generator, kind: str, count: int) -> np.ndarray:
    """Return draws of unit variance."""
    if kind == "shared":
        own = rng.standard_normal(count)
        common = np.repeat(rng.standard_normal(count // ROWS), ROWS)
        return np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own
    if kind == "t3":
        return rng.standard_t(3, count) / np.sqrt(3)
    return rng.standard_normal(count)


class Coverage(NamedTuple):
    """held: parameter → share of tables whose interval holds it. width: of the first exponent.
    none: share of tables without an interval."""

    held: dict[str, float]
    width: float
    none: float


def coverage(
    name: str, cells: int, decades: int, level: float, kind: str, tables: int, seed: int = 0
) -> Coverage:
    """Fit planted tables of one design."""
    truth = TRUTHS[name]
    inputs, cluster = places(cells, decades, truth.two), None
    if kind == "shared":
        inputs, cluster = runs(cells, decades, truth.two)
    y = truth.measure(*inputs.values(), *truth.parameters)
    rng = np.random.default_rng([seed, cells, decades])
    held: dict[str, list[bool]] = {key: [] for key in truth.judged}
    widths = []
    for _ in range(tables):
        measured = y * np.exp(level * noise(rng, kind, len(y)))
        fit = fit_form(name, Points(inputs, measured, cluster))
        known = dict(zip(fit.form.keys, truth.parameters, strict=True))
        if fit.derived:
            of_n, of_d = truth.parameters[-2:]
            known["compute_exponent"] = of_d / (of_n + of_d)
        first = fit[fit.form.headline[0]]
        if not np.isfinite(first.low):
            continue
        widths.append((first.high - first.low) / abs(known[first.key]))
        for key in truth.judged:
            held[key].append(fit[key].low <= known[key] <= fit[key].high)
    shares = {key: float(np.mean(values)) if values else np.nan for key, values in held.items()}
    width = float(np.median(widths)) if widths else np.nan
    return Coverage(shares, width, 1 - len(widths) / tables)


def designs(asked: list[str], shared: bool) -> Iterator[tuple[str, int, int, float, str]]:
    """Yield form, cells or models, decades, noise and its kind; of FORM:CELLS only these cells."""
    for one in asked or TRUTHS:
        name, _, cells = one.partition(":")
        counts = MODELS if shared else TRUTHS[name].cells
        for count in [int(cells)] if cells else counts:
            for decades in RANGES:
                for level, kind in ((0.003, "shared"),) if shared else NOISES:
                    yield name, count, decades, level, kind


def main(arguments: list[str]) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("forms", nargs="*")
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--models", action="store_true", help="rows share models, ten each")
    options = parser.parse_args(arguments)
    print("| form | cells | decades | noise | least | mean | width | none |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name, cells, decades, level, kind in designs(options.forms, options.models):
        found = coverage(name, cells, decades, level, kind, options.tables)
        worst = min(found.held, key=lambda key: found.held[key])
        print(
            f"| {name} | {cells} | {decades} | {level:g} {kind} | {found.held[worst]:.2f} {worst}"
            f" | {np.mean(list(found.held.values())):.2f} | {found.width:.2f} | {found.none:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
