"""What the two charts of the frontier share: one mark a cell, and its hover text."""

import numpy as np
import pandas as pd

from reports.frontier_answer import FrontierFit


def cells_of_fit(fit: FrontierFit) -> pd.DataFrame:
    """Return one row per cell: geometric means over seeds of radius, missed and plain, means of
    r_inf, r_law and r_law_32bit (NaN unless all seeds have them), and what places the cell. A cell
    with a radius of 0 has no place."""
    rows = fit.rows[fit.rows["fitted"]].assign(per_neuron=fit.rows["neurons"] / fit.rows["n"])
    logs = ["radius", "missed", "plain"]
    rows[logs] = np.log(rows[logs].where(rows[logs] > 0))
    first = ("problem", "curve", "n", "d", "p", "depth", "proved", "by_law", "per_sample")
    flags = ("binds", "window", "per_neuron")
    means = (*logs, "r_inf", "r_law", "r_law_32bit")
    by_cell = rows.groupby("cell")
    cells = by_cell.agg(
        **{column: (column, "first") for column in (*first, *flags)},
        seeds=("seed", "nunique"),
    )
    # A mean over some of the seeds would not belong to the others' r*.
    known = rows[list(means)].notna().groupby(rows["cell"]).all()
    cells = cells.join(by_cell[list(means)].mean().where(known))
    cells[logs] = np.exp(cells[logs])
    return cells.sort_values(["d", "n", "p"])


def cell_text(cell: pd.Series) -> str:
    """Return the hover text of one cell."""

    def known(column: str) -> str:
        return "unknown" if pd.isna(cell[column]) else f"{cell[column]:.3g}"

    lines = [
        f"{cell['problem']}, {cell['seeds']} data seeds",
        f"n {cell['n']:,}, d {cell['d']:,}, p {cell['p']:,}, p/n {cell['per_sample']:.3g}",
        f"r* {known('radius')}, not fitted at {known('missed')}",
        f"plain training {known('plain')}, r∞ {known('r_inf')}, r_law {known('r_law')}",
    ]
    return "\n".join(lines)


def texts_of(cells: pd.DataFrame) -> tuple[str, ...]:
    """Return the hover texts of the cells, in order."""
    return tuple(cell_text(cell) for _, cell in cells.iterrows())
