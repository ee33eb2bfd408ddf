"""Say what changed between two stores, and whether by more than noise.

    found = compare(read_evidence(A), fits_of_a, read_evidence(B), fits_of_b, ("A", "B"))

Three kinds of figures are compared. A slope against size: where both stores have curves of the same
setting, the difference over these curves, whose noise is that of cells around their curve's line;
otherwise the difference of the two slopes, with the errors of both (Welch 1947). A cell's mean: on
natural logarithms, with the spread of seeds within cells that all cells of a kind share. A constant
of the frontier: over the curves that both stores have.

All slopes and constants hold together at 1 − SHARE, and so do all cells. Where the stores have
trials in common, their noise cancels in truth and not in the error, so the intervals are too wide:
a change is missed rather than made up.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

from reports.evidence import Evidence
from reports.fits.slope import Slope
from reports.frontier import radii
from reports.law import GROWS, Fits

SHARE = 0.025
"""Chance that noise alone makes any slope or constant differ beyond noise, and the same again for
the cells: one in twenty for the whole comparison."""
MIN_CURVES = 3
"""Curves from which on a mean over curves gets an interval."""


class Change(NamedTuple):
    """How a figure of one store differs in another.

    `what`: a kind or a cell. `before` and `after`: the figure in each store. `apart`: after −
    before of a slope, log(after/before) of a cell or a constant; `error` and `freedom`: of `apart`,
    whose interval, `low` to `high`, is Student's t. Without an interval `failure` says why.
    """

    what: str
    column: str
    before: float
    after: float
    apart: float
    error: float
    freedom: float
    trials: tuple[str, ...]
    basis: str = ""
    failure: str = ""
    low: float = float("nan")
    high: float = float("nan")

    @property
    def beyond(self) -> bool:
        """Return whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


class Comparison(NamedTuple):
    """What changed from store `names[0]` to store `names[1]`. `same`: cells all of whose rows are
    the same in both, which are not compared. `only`: for each store, the kinds that it alone has.
    """

    names: tuple[str, str]
    slopes: list[Change]
    constants: list[Change]
    cells: list[Change]
    same: int
    only: tuple[list[str], list[str]]


def compare(
    first: Evidence, fits: Fits, second: Evidence, other_fits: Fits, names: tuple[str, str]
) -> Comparison:
    """Compare two stores, each given by its evidence and fits. names: of the stores."""
    slopes = []
    for (kind, column), before in fits.slopes.items():
        after = other_fits.slopes.get((kind, column))
        if column in GROWS and after is not None and not before.failure and not after.failure:
            slopes.append(slope_change(kind, column, before, after))
    constants = constant_changes(radii(first), radii(second))
    together = len(slopes) + len(constants)

    cells, same = cell_changes(first.trials, second.trials)
    kinds = set(first.all_trials["kind"]), set(second.all_trials["kind"])
    return Comparison(
        names=names,
        slopes=[with_interval(change, together) for change in slopes],
        constants=[with_interval(change, together) for change in constants],
        cells=[with_interval(change, len(cells)) for change in cells],
        same=same,
        only=(sorted(kinds[0] - kinds[1]), sorted(kinds[1] - kinds[0])),
    )


def with_interval(change: Change, together: int) -> Change:
    """Return a change with its interval, which holds together with those of so many changes."""
    if change.failure or not change.freedom > 0:
        return change
    half = float(t.ppf(1 - SHARE / max(together, 1) / 2, change.freedom)) * change.error
    return change._replace(low=change.apart - half, high=change.apart + half)


def slope_change(kind: str, column: str, before: Slope, after: Slope) -> Change:
    """Compare a kind's slopes of one measure."""
    both = sorted(before.of_curves.keys() & after.of_curves.keys())
    own = [before.of_curves[curve] for curve in both], [after.of_curves[curve] for curve in both]
    first, second = before.slope, after.slope
    if both and before.noise_freedom and after.noise_freedom:
        first, second = (float(np.mean([slope for slope, _ in curves])) for curves in own)
        variances = [
            slope.noise * sum(1 / spread for _, spread in curves) / len(both) ** 2
            for slope, curves in zip((before, after), own, strict=True)
        ]
        freedoms = [float(before.noise_freedom), float(after.noise_freedom)]
        basis = f"{len(both)} curves that both stores have"
    else:
        variances = [before.error**2, after.error**2]
        freedoms = [before.freedom, after.freedom]
        basis = f"{before.curves} curves in one store and {after.curves} others in the other"
    return Change(
        kind,
        column,
        first,
        second,
        second - first,
        float(sum(variances)) ** 0.5,
        _welch(variances, freedoms),
        tuple(dict.fromkeys(before.trials + after.trials)),
        basis,
    )


def constant_changes(first: pd.DataFrame, second: pd.DataFrame) -> list[Change]:
    """Compare the constants r*·sqrt(n·d/p) of the frontier, problem by problem, over the curves
    that both stores have. first, second: of `frontier.radii`."""
    if first.empty or second.empty:
        return []
    changes = []
    for problem in sorted(set(first["problem"]) & set(second["problem"])):
        before, after = (_of_curves(rows[rows["problem"].eq(problem)]) for rows in (first, second))
        both = before.index.intersection(after.index)
        if both.empty:
            continue
        apart = (after["log"] - before["log"])[both]
        known = len(both) >= MIN_CURVES
        trials = [
            trial for rows in (before, after) for own in rows["trials"][both] for trial in own
        ]
        changes.append(
            Change(
                str(problem),
                "constant of the frontier",
                float(np.exp(before["log"][both].mean())),
                float(np.exp(after["log"][both].mean())),
                float(apart.mean()),
                float(apart.std(ddof=1)) / len(both) ** 0.5 if known else float("nan"),
                len(both) - 1.0,
                tuple(dict.fromkeys(trials)),
                f"{len(both)} curves that both stores have",
                "" if known else f"{len(both)} curves in common are too few for an interval",
            )
        )
    return changes


def _of_curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean logarithm of the constant, and the trials, of each curve of the window."""
    window = rows[rows["window"] & rows["bound"] & rows["radius"].gt(0)]
    logs = np.log(window["radius"] / np.sqrt(window["by_law"]))
    cells = logs.groupby([window["curve"], window["cell"]]).mean()
    return pd.DataFrame(
        {
            "log": cells.groupby(level=0).mean(),
            "trials": window.groupby("curve")["trial_id"].sum(),
        }
    )


def cell_changes(first: pd.DataFrame, second: pd.DataFrame) -> tuple[list[Change], int]:
    """Compare the means of the cells that both stores have, of every measure that a law holds for.
    Return also the number of cells all of whose rows are the same in both."""
    changes: list[Change] = []
    same: set[str] = set()
    for column in GROWS:
        if column not in first or column not in second:
            continue
        tables = [_logs(rows, column) for rows in (first, second)]
        spreads = [_spread_within(table) for table in tables]
        cells = _cells(tables[0]).join(_cells(tables[1]).add_suffix("_after"), how="inner")
        shared = tables[0].merge(tables[1], on=["cell", "trial_id", "log"]).groupby("cell").size()
        shared = shared.reindex(cells.index, fill_value=0)
        alike = shared.eq(cells["rows"]) & shared.eq(cells["rows_after"])
        same |= set(map(str, cells.index[alike]))
        changes += [_cell_change(cell, column, spreads) for cell in cells[~alike].itertuples()]
    return changes, len(same - {change.what for change in changes})


def _logs(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return trial_id, kind, curve, cell, seed and log of the rows whose value is positive."""
    names = ["trial_id", "kind", "curve", "cell", "seed"]
    positive = rows.loc[rows[column].gt(0), [*names, column]]
    return positive.assign(log=np.log(positive[column].to_numpy(float)))


def _cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return each cell's mean logarithm, number of rows, kind and trials. By positions and not by
    `groupby`, which takes ten times as long."""
    number, names = pd.factorize(table["cell"], sort=True)
    order = np.argsort(number, kind="stable")
    rows = np.bincount(number, minlength=len(names))
    stops = np.cumsum(rows)
    starts = stops - rows
    ids = table["trial_id"].to_numpy()[order]
    return pd.DataFrame(
        {
            "log": np.bincount(number, table["log"].to_numpy(float), minlength=len(names)) / rows,
            "rows": rows,
            "kind": table["kind"].to_numpy()[order[starts]],
            "trials": [tuple(ids[a:b]) for a, b in zip(starts, stops, strict=True)],
        },
        index=pd.Index(names, name="cell"),
    )


def _spread_within(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return the variance of seeds within cells and its degrees of freedom, by kind.

    A seed draws the data of a whole curve, so its deviations in the curve's cells are no
    independent evidence on the variance. What a seed shares along a curve and what is left are two
    parts of the sum of squares, whose freedoms join as in Satterthwaite (1946).
    """
    found = {}
    for kind, rows in table.groupby("kind"):
        around = rows["log"] - rows.groupby("cell")["log"].transform("mean")
        freedom = len(rows) - rows["cell"].nunique()
        if not freedom:
            found[str(kind)] = (np.nan, 0.0)
            continue

        whole = float((around**2).sum())
        of_seeds = around.groupby([rows["curve"], rows["seed"]]).agg(["sum", "size"])
        along = min(whole, float((of_seeds["sum"] ** 2 / of_seeds["size"]).sum()))
        seeds = min(freedom, len(of_seeds) - rows["curve"].nunique())
        effective = _welch([along, whole - along], [seeds, freedom - seeds])
        found[str(kind)] = (whole / freedom, effective if whole else float(freedom))
    return found


def _cell_change(cell: Any, column: str, spreads: list[dict[str, tuple[float, float]]]) -> Change:
    """Return the change of a cell, given by its line in both stores."""
    spread = [of_kind[cell.kind] for of_kind in spreads]
    counts = (cell.rows, cell.rows_after)
    variances = [variance / rows for (variance, _), rows in zip(spread, counts, strict=True)]
    freedoms = [freedom for _, freedom in spread]
    known = min(freedoms) > 0
    return Change(
        str(cell.Index),
        column,
        float(np.exp(cell.log)),
        float(np.exp(cell.log_after)),
        float(cell.log_after - cell.log),
        float(sum(variances)) ** 0.5 if known else float("nan"),
        _welch(variances, freedoms) if known else 0.0,
        tuple(dict.fromkeys(cell.trials + cell.trials_after)),
        f"{cell.rows} and {cell.rows_after} trials",
        "" if known else "one seed a cell says nothing about noise",
    )


def _welch(variances: list[float], freedoms: list[float]) -> float:
    """Return the degrees of freedom of a sum of independent variances (Satterthwaite 1946)."""
    total = sum(variances)
    parts = sum(v**2 / f for v, f in zip(variances, freedoms, strict=True) if f > 0)
    return total**2 / parts if parts > 0 else 0.0
