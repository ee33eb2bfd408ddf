"""How often 95 % intervals of scaling fits hold the truth, on simulated tables.

    .venv/bin/python -m tests.benchmarks.fit_coverage [FORM[:CELLS] …] [--models] [--minutes 9]
    .venv/bin/python -m tests.benchmarks.fit_coverage --table

For every form, number of cells, range of sizes and noise: tables are planted and fitted as shipped,
bootstrap and profiles included. Each design is one row of `fit_coverage.csv` beside this file,
which `--table` shows. Designs that stand there with this seed are not run again, so that the whole
can be run in pieces; with another seed they get further tables, and all are counted together.

- *held*: the share of tables whose interval holds the parameter, for each of them. At a true
  coverage of .95 its standard error is .034 for 40 tables and .022 for 100. The least of five
  parameters is expected near .90.
- *width*: median width of the interval of the first exponent, as a share of the exponent.
- *none*: share of tables without an interval.

Noise multiplies the measure by exp(noise × standard normal), or by Student's t with three degrees
of freedom scaled to the same variance. With --models, every training run gives ten rows, whose
noise is nine tenths in common, and cells count runs. Kaplan's N_c and D_c are not judged: they lie
far outside the table.
"""

import csv
import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from reports.scaling.fitting import compute_exponent, fit_form
from reports.scaling.forms import FORMS
from reports.scaling.points import Points
from tests.reports.scaling.planted import PLANTED

FILE = Path(__file__).with_suffix(".csv")
HEAD = ("form", "cells", "decades", "noise", "kind", "seed", "tables", "none", "width", "held")
SIDES = {9: (3, 3), 12: (4, 3), 25: (5, 5), 36: (6, 6), 100: (10, 10), 400: (20, 20)}
"""Cells of a grid of N and D to its sides."""
EPOCHS = (1.0, 2.0, 8.0, 40.0)
"""How often the rows of one N and U see their tokens."""
FEW, MORE, MOST = (9, 12, 25, 100, 400), (12, 25, 100, 400), (25, 100, 400)
CELLS = {
    "power": FEW,
    "saturating": FEW,
    "logarithm": FEW,
    "levelling": FEW,
    "broken": FEW,
    "downstream": FEW,
    "m4": MORE,
    "bnsl": MOST,
    "chinchilla": MORE,
    "chinchilla-tied": FEW,
    "kaplan": FEW,
    "two-variable": FEW,
    "farseer": MOST,
    "data-constrained": (36, 100, 400),
}
"""Form → cells of its designs. The broken law of two breaks is left out."""
TRUTHS = {"power": (3.0, -0.2), "bnsl": (0.2, 5.0, 0.05, 0.5, 1e7, 0.3)}
"""Parameters other than those of the planted tables of the tests."""
NOT_JUDGED = {"Nc", "Dc"}
ROWS = 10
"""Rows of each model in tables whose rows share models."""
SHARED = 0.9
"""Share of their noise's variance that a model's rows have in common."""
MODELS = (12, 22, 60)
MODELLED = ("power", "saturating", "chinchilla-tied", "kaplan", "two-variable", "chinchilla")
NOISES = ((0.003, "normal"), (0.003, "t3"), (0.03, "normal"))
RANGES = (2, 3)
"""Decades of each size."""


class Design(NamedTuple):
    """cells: of one row each, or runs of ROWS rows where the noise is shared."""

    form: str
    cells: int
    decades: int
    noise: float
    kind: str

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """Return the sizes of each row."""
        roles = FORMS[self.form].inputs
        if self.kind == "shared":
            return runs(self.cells, self.decades, roles != ("X",))[0]
        if roles == ("X",):
            return {"X": np.geomspace(1e6, 1e6 * 10**self.decades, self.cells)}
        if roles == ("L",):
            return {"L": np.linspace(2, 2 + 1.5 * self.decades, self.cells)}

        repeats = len(EPOCHS) if "U" in roles else 1
        rows, columns = SIDES[self.cells // repeats]
        n = np.geomspace(1e7, 1e7 * 10**self.decades, rows)
        d = np.geomspace(1e9, 1e9 * 10**self.decades, columns)
        places = [np.repeat(v.ravel(), repeats) for v in np.meshgrid(n, d)]
        if repeats == 1:
            return dict(zip("ND", places, strict=True))
        n, u = places
        return {"N": n, "D": u * np.tile(EPOCHS, rows * columns), "U": u}

    @property
    def clusters(self) -> np.ndarray | None:
        """Return the run of each row where rows share runs."""
        return np.repeat(np.arange(self.cells), ROWS) if self.kind == "shared" else None


def runs(models: int, decades: int, two: bool) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return inputs and clusters of training runs that give ROWS rows each: of N models each with
    its own tokens, or of sizes close to one another."""
    model = np.repeat(np.arange(models), ROWS)
    share = np.tile(np.arange(ROWS), models) / (ROWS - 1)
    if not two:
        return {"X": np.geomspace(1e6, 1e6 * 10**decades, models)[model] * 1.2**share}, model
    n = np.geomspace(1e7, 1e7 * 10**decades, models)[model]
    return {"N": n, "D": 1e9 * 10 ** (decades * share)}, model


def drawn(rng: np.random.Generator, kind: str, count: int) -> np.ndarray:
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


def known(form: str) -> dict[str, float]:
    """Return the planted parameters by key, with the exponent of compute where the form has it."""
    truth = TRUTHS.get(form, PLANTED[form][1])
    values = dict(zip(FORMS[form].keys, map(float, truth), strict=True))
    exponent = compute_exponent(FORMS[form], np.array([truth], float))
    return values if exponent is None else values | {"compute_exponent": float(exponent[0])}


def coverage(design: Design, tables: int, seed: int = 0) -> Coverage:
    """Fit planted tables of one design."""
    name, inputs, truth = design.form, design.inputs, known(design.form)
    y = PLANTED[name][2](inputs, *TRUTHS.get(name, PLANTED[name][1]))
    rng = np.random.default_rng([seed, crc32(repr(design).encode())])
    judged = [key for key in truth if key not in NOT_JUDGED]
    held: dict[str, list[bool]] = {key: [] for key in judged}
    widths = []
    for _ in range(tables):
        measured = y * np.exp(design.noise * drawn(rng, design.kind, len(y)))
        fit = fit_form(name, Points(inputs, measured, design.clusters))
        first = fit[fit.form.headline[0]]
        if not np.isfinite(first.low):
            continue
        widths.append((first.high - first.low) / abs(truth[first.key]))
        for key in judged:
            held[key].append(fit[key].low <= truth[key] <= fit[key].high)
    shares = {key: float(np.mean(values)) if values else np.nan for key, values in held.items()}
    width = float(np.median(widths)) if widths else np.nan
    return Coverage(shares, width, 1 - len(widths) / tables)


def designs(asked: Sequence[str], shared: bool) -> Iterator[Design]:
    """Yield designs of every form, or of those asked for; of FORM:CELLS only these cells."""
    for one in asked or (MODELLED if shared else CELLS):
        name, _, cells = one.partition(":")
        counts = MODELS if shared else CELLS[name]
        for count in [int(cells)] if cells else counts:
            for decades in RANGES:
                for level, kind in ((0.003, "shared"),) if shared else NOISES:
                    yield Design(name, count, decades, level, kind)


class Row(NamedTuple):
    """A design that was run with a seed."""

    design: Design
    seed: int
    tables: int
    found: Coverage


def read(file: Path = FILE) -> list[Row]:
    """Return the designs that were run."""
    if not file.exists():
        return []
    rows = []
    with file.open() as lines:
        for row in csv.DictReader(lines):
            design = Design(
                row["form"],
                int(row["cells"]),
                int(row["decades"]),
                float(row["noise"]),
                row["kind"],
            )
            pairs = (pair.split("=") for pair in row["held"].split())
            held = {key: float(share) for key, share in pairs}
            found = Coverage(held, float(row["width"]), float(row["none"]))
            rows.append(Row(design, int(row["seed"]), int(row["tables"]), found))
    return rows


def append(row: Row, file: Path = FILE) -> None:
    """Write a design that was run."""
    begun = file.exists()
    held = " ".join(f"{key}={share:.4f}" for key, share in row.found.held.items())
    found = (f"{row.found.none:.4f}", f"{row.found.width:.4f}", held)
    with file.open("a", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        if not begun:
            writer.writerow(HEAD)
        writer.writerow((*row.design, row.seed, row.tables, *found))


def together(rows: Sequence[Row]) -> dict[Design, Row]:
    """Return each design with the tables of all its seeds counted together. The width is the mean
    of their medians."""
    of: dict[Design, list[Row]] = {}
    for row in rows:
        of.setdefault(row.design, []).append(row)
    counted = {}
    for design, found in of.items():
        tables = np.array([row.tables for row in found], float)
        none = np.array([row.found.none for row in found])
        fitted = tables * (1 - none)
        share = fitted / max(fitted.sum(), 1)
        held = {
            key: float(share @ [row.found.held[key] for row in found])
            for key in found[0].found.held
        }
        width = float(share @ [row.found.width for row in found])
        whole = Coverage(held, width, float(1 - fitted.sum() / tables.sum()))
        counted[design] = Row(design, -1, int(tables.sum()), whole)
    return counted


def table(rows: Sequence[Row]) -> str:
    """Return coverage in Markdown: a line for each form and number of cells, a column for each
    range and noise. The least of the parameters, its name, and the mean over them."""
    counted = together(rows)
    kinds = sorted({(d.noise, d.kind, d.decades) for d in counted})
    heads = [f"{100 * noise:g} % {kind}, {decades} decades" for noise, kind, decades in kinds]
    lines = [f"| form | cells | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for form in CELLS:
        for cells in sorted({d.cells for d in counted if d.form == form}):
            designs = [Design(form, cells, decades, noise, kind) for noise, kind, decades in kinds]
            texts = [_cell(counted[d]) if d in counted else "–" for d in designs]
            lines.append(f"| {form} | {cells} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def summary(rows: Sequence[Row]) -> str:
    """Return in words how many designs hold their least parameter how often."""
    counted = list(together(rows).values())
    least = np.array([min(row.found.held.values()) for row in counted])
    mean = float(np.mean([np.mean(list(row.found.held.values())) for row in counted]))
    tables = sorted({row.tables for row in counted})
    each = " to ".join(str(count) for count in dict.fromkeys((tables[0], tables[-1])))
    whole = len(list(designs((), False)))
    return (
        f"Run: {len(counted)} of {whole} designs, {each} tables each; {mean:.3f} on average over"
        f" designs and parameters; the least parameter of a design {np.median(least):.2f} in the"
        f" median, below .90 in {int((least < 0.9).sum())} and below .85 in"
        f" {int((least < 0.85).sum())} of them."
    )


def _cell(row: Row) -> str:
    held = row.found.held
    least = min(held, key=lambda key: held[key])
    mean = np.mean(list(held.values()))
    return f"{held[least]:.2f} {least}, {mean:.2f}"


def main(arguments: list[str]) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("forms", nargs="*")
    parser.add_argument("--tables", type=int, default=40)
    parser.add_argument("--models", action="store_true", help="rows share models, ten each")
    parser.add_argument("--minutes", type=float, default=np.inf, help="stop after these")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="show what was run")
    options = parser.parse_args(arguments)
    if options.table:
        print(f"{table(read())}\n{summary(read())}")
        return

    done = {row.design for row in read() if row.seed == options.seed}
    left = [d for d in designs(options.forms, options.models) if d not in done]
    begun = time.monotonic()
    waiting: set[Future[Row]] = set()
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        while left or waiting:
            late = time.monotonic() - begun > 60 * options.minutes
            while left and not late and len(waiting) < options.processes:
                waiting.add(pool.submit(run, left.pop(0), options.tables, options.seed))
            if not waiting:
                print("stopped; the next call goes on")
                return
            ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ready:
                append(future.result())
                print(*future.result().design, _cell(future.result()), flush=True)


def run(design: Design, tables: int, seed: int) -> Row:
    """Return one design's row."""
    return Row(design, seed, tables, coverage(design, tables, seed))


if __name__ == "__main__":
    main(sys.argv[1:])
