"""Answer for each problem: is the law's order attained by the most robust fits, in which variable,
with which constant, over which range?

    for fit in fit_frontier(radii(evidence)): print(fit.verdict)

The law bounds these radii by a multiple of sqrt(p/(n·d)). Against p/n that is decided at fixed p/n,
where the law's variable predicts a fall with d of order 1/2 and p/n none, and by predicting curves
that were left out. An exponent of p is stated only where the local slope is constant within STEADY
over a decade of the window. An exponent counts as a known order where its whole interval lies less
than NARROW from it.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

from reports.fits.common_slope import CommonSlope, bend, common_slope
from reports.fits.rivals import Rivals, compare, logarithm_of
from reports.frontier import NEAR
from reports.search_gap import GapSlope, SearchGap, measured
from reports.verdicts import CANNOT_TELL, NARROW, ORDER

PER_SAMPLE = (1, 2, 4)
"""The values of p/n at which the exponent of d is fitted."""
DECADE = 0.98
"""Decades that a curve's window must span for an exponent of p: one, less what whole numbers of
neurons may lose."""
STEADY = 0.1
MIN_CURVES = 3
"""Curves from which on a mean over curves gets an interval."""
MIN_DIMENSIONS = 3
"""Dimensions that a fit of their exponent needs at one p/n and n."""
BY_LAW, BY_SAMPLES, BY_NEURONS = "p/(n·d)", "p/n", "m/n"

ATTAINED = "the law's order is attained, in the variable p/(n·d)"
IN_DIMENSION = "the law's order is attained in d; no exponent of p is stated"
SLOWER = "falls with d as the law's order, grows more slowly with p"
STEEPER = "falls with d as the law's order, grows faster with p"
SAMPLES = "the variable is p/n: grows like its square root and does not fall with d"
NO_FALL = "does not fall with d; no order of p is attained"
FLAT = "does not depend on size"
LOGARITHMIC = "grows like a logarithm of size, so by no power law"
VERDICTS = (ATTAINED, IN_DIMENSION, SLOWER, STEEPER, SAMPLES, NO_FALL, FLAT, LOGARITHMIC)

RULE = (
    "Cannot tell where r_law lies below r∞ in no cell. Otherwise in this order: no dependence on"
    " size where the exponent of p is 0 within the narrow band; a logarithm where A + B·ln of a"
    " variable predicts left-out curves better than a power of p/(n·d) and of p/n; the law's order"
    " in d where the exponent of d at fixed p/n is −1/2 within the band and a power of p/n does not"
    " predict better, with the exponent of p beside it; p/n where the exponent of d is 0 within the"
    " band and a power of p/(n·d) does not predict better; cannot tell otherwise. An exponent of p"
    " is stated from curves whose local slope is steady over a decade of the window alone. On the"
    " sphere every exponent's interval is widened by the slope of the search gap."
)


class Mean(NamedTuple):
    """A geometric mean over curves with its interval (NaN below MIN_CURVES), its smallest and
    largest cell, and the trials."""

    value: float
    low: float
    high: float
    smallest: float
    largest: float
    cells: int
    trials: tuple[str, ...]


class FrontierFit(NamedTuple):
    """What the radii of one problem say.

    by_ratio: p/n → exponent of d there. dimension: the exponent of d over all of them. size: the
    exponent of p; `bends` are the curves that span a decade of the window, each with how far its
    local slope moves. rivals: held-out errors of the variables. constant: r*·sqrt(n·d/p) in the
    window. plain: training radius of plain training over r*. depth: exponent of the ratio of
    neurons in the ratio of radii of a deeper and a two-layer net of equal p; None without such
    pairs. gap: the search gap that the intervals of by_ratio, dimension and size hold; None where
    it is not measured. binding: cells where the law can bind, of `cells`; law_known: r_law is known
    for them.
    """

    problem: str
    rows: pd.DataFrame
    by_ratio: dict[int, CommonSlope]
    dimension: CommonSlope
    size: CommonSlope
    bends: dict[str, float]
    rivals: Rivals
    constant: Mean | None
    plain: Mean | None
    depth: CommonSlope | None
    gap: SearchGap | None
    cells: int
    binding: int
    law_known: bool
    verdict: str


def fit_frontier(found: pd.DataFrame) -> list[FrontierFit]:
    """Return the fits of every problem, in alphabetical order. found: of `frontier.radii`."""
    if found.empty:
        return []
    return [_fit(str(problem), rows) for problem, rows in found.groupby("problem")]


def _fit(problem: str, rows: pd.DataFrame) -> FrontierFit:
    window = levelled(rows)
    gap = measured() if rows["proved"].all() else None
    of_d, of_p = (gap.of_d, gap.of_p) if gap else (None, None)
    size, bends = _size(rows)
    cells = rows.drop_duplicates("cell")
    fit = FrontierFit(
        problem,
        rows,
        {k: _widened(_dimension(rows, (k,)), of_d) for k in PER_SAMPLE},
        _widened(_dimension(rows, PER_SAMPLE), of_d),
        _widened(size, of_p),
        bends,
        _rivals(window),
        _mean(window, window["radius"] / np.sqrt(window["by_law"])),
        _plain(rows),
        _depth(rows),
        gap,
        len(cells),
        int(cells["binds"].sum()),
        bool(rows["law_known"].all()),
        "",
    )
    return fit._replace(verdict=_verdict(fit))


def _widened(fit: CommonSlope, gap: GapSlope | None) -> CommonSlope:
    """Return the slope with its interval widened by the search gap."""
    if fit.failure or gap is None:
        return fit
    low, high = gap.widen(fit.slope, fit.low, fit.high)
    return fit._replace(low=low, high=high)


def levelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the radii that the constant is the mean of."""
    return rows[rows["window"] & rows["bound"]]


def _dimension(rows: pd.DataFrame, ratios: tuple[int, ...]) -> CommonSlope:
    """Fit the exponent of d at these values of p/n: one exponent, a level for each ratio and n."""
    at = at_one_ratio(rows, ratios)
    return _slope(at, "d", at["group"])


def at_one_ratio(rows: pd.DataFrame, ratios: tuple[int, ...] = PER_SAMPLE) -> pd.DataFrame:
    """Return the radii that the exponent of d is fitted to, two-layer nets alone where depth
    varies, with `group`, whose members share a level."""
    usable = rows[rows["below_ceiling"] & (rows["binds"] | ~rows["law_known"])]
    at = at_ratios(usable, ratios)
    return at.assign(group=at["ratio"].astype(str) + " " + at["n"].astype(str))


def at_ratios(cells: pd.DataFrame, ratios: tuple[int, ...] = PER_SAMPLE) -> pd.DataFrame:
    """Return the cells of the shallowest nets within NEAR of these values of p/n, with `ratio`."""
    shallow = cells[cells["depth"].isna() | cells["depth"].eq(cells["depth"].min())]
    ratio = np.full(len(shallow), np.nan)
    for k in ratios:
        ratio[(shallow["per_sample"] / k - 1).abs() <= NEAR] = k
    return shallow.assign(ratio=ratio).dropna(subset="ratio")


def _slope(rows: pd.DataFrame, variable: str, group: pd.Series) -> CommonSlope:
    """Fit the exponent of a variable, of the groups with two or more of its values."""
    fit = common_slope(
        np.log(rows[variable].to_numpy(float)),
        np.log(rows["radius"].to_numpy(float)),
        group.to_numpy(),
        rows["cell"].to_numpy(),
        MIN_DIMENSIONS,
    )
    places = rows[variable].groupby(group).transform("nunique")
    return fit._replace(trials=_trials(rows[places > 1]))


def _size(rows: pd.DataFrame) -> tuple[CommonSlope, dict[str, float]]:
    """Fit the exponent of p over the curves that span a decade of the window at a steady slope."""
    climbs, bends = climbing(rows)
    fit = _slope(climbs, "p", climbs["curve"])
    if not bends:
        return fit._replace(failure="no curve spans a decade between onset and ceiling"), bends
    if climbs.empty:
        return fit._replace(failure="the local slope is not constant over a decade"), bends
    return fit, bends


def climbing(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the radii that the exponent of p is fitted to, and the bend of every curve that spans
    a decade of the window."""
    window = rows[rows["window"]]
    bends = {}
    for curve, own in window.groupby("curve"):
        x = np.log(own["p"].to_numpy(float))
        found = bend(x, np.log(own["radius"].to_numpy(float)))
        if found.decades >= DECADE and np.isfinite(found.per_decade):
            bends[str(curve)] = found.per_decade
    steady = [curve for curve, moved in bends.items() if moved <= STEADY]
    return window[window["curve"].isin(steady)], bends


def _rivals(window: pd.DataFrame) -> Rivals:
    """Compare p/(n·d) and p/n over the window, and m/n (neurons) where nets of several depths tell
    it from p/(n·d)."""
    logs = window.assign(log_y=np.log(window["radius"]))
    cells = logs.groupby("cell", sort=True).agg(
        curve=("curve", "first"),
        log_y=("log_y", "mean"),
        rows=("log_y", "size"),
        by_law=("by_law", "first"),
        per_sample=("per_sample", "first"),
        depth=("depth", "first"),
        per_neuron=("neurons", "first"),
        n=("n", "first"),
    )
    variables = {BY_LAW: cells["by_law"].to_numpy(), BY_SAMPLES: cells["per_sample"].to_numpy()}
    if cells["depth"].nunique() > 1 and cells["per_neuron"].notna().all():
        variables[BY_NEURONS] = (cells["per_neuron"] / cells["n"]).to_numpy()
    return compare(cells, variables)


def _mean(rows: pd.DataFrame, values: pd.Series) -> Mean | None:
    """Return the geometric mean of a value per row over curves, each the same say."""
    if rows.empty:
        return None
    logs = pd.Series(np.log(values.to_numpy(float)), index=rows.index)
    of_cells = logs.groupby(rows["cell"]).mean()
    of_curves = of_cells.groupby(rows.groupby("cell")["curve"].first()).mean()
    mean = float(of_curves.mean())
    half = float("nan")
    if len(of_curves) >= MIN_CURVES:
        error = float(of_curves.std(ddof=1)) / len(of_curves) ** 0.5
        half = float(t.ppf(0.975, len(of_curves) - 1)) * error
    ends = (mean, mean - half, mean + half, of_cells.min(), of_cells.max())
    value, low, high, smallest, largest = (float(np.exp(end)) for end in ends)
    return Mean(value, low, high, smallest, largest, len(of_cells), _trials(rows))


def _plain(rows: pd.DataFrame) -> Mean | None:
    """Return plain training's radius over the frontier's, data seed by data seed."""
    both = rows[rows["radius"].gt(0) & rows["plain"].gt(0)]
    mean = _mean(both, both["plain"] / both["radius"])
    if mean is None:
        return None
    trained = tuple(trial for of_cell in both["plain_id"] for trial in of_cell)
    return mean._replace(trials=mean.trials + trained)


def _depth(rows: pd.DataFrame) -> CommonSlope | None:
    """Fit log(r_deep/r_shallow) against log(m_deep/m_shallow) over pairs of nets of equal p on the
    same data: 0 where parameters count, ORDER where neurons do."""
    fitted = rows[rows["radius"].gt(0) & rows["depth"].notna()]
    if fitted["depth"].nunique() < 2:
        return None
    least = fitted["depth"].min()
    shallow, deep = fitted[fitted["depth"].eq(least)], fitted[fitted["depth"].gt(least)]
    pairs = deep.merge(shallow, on=["n", "d", "seed"], suffixes=("", "_shallow"))
    pairs = pairs[(pairs["p"] / pairs["p_shallow"] - 1).abs() <= NEAR]
    if pairs.empty:
        return None
    fit = common_slope(
        np.log(pairs["neurons"] / pairs["neurons_shallow"]).to_numpy(),
        np.log(pairs["radius"] / pairs["radius_shallow"]).to_numpy(),
        pairs["depth"].to_numpy(),
        pairs["cell"].to_numpy(),
    )
    trials = _trials(pairs) + tuple(t for own in pairs["trial_id_shallow"] for t in own)
    return fit._replace(trials=tuple(dict.fromkeys(trials)))


def _trials(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(trial for of_row in rows["trial_id"] for trial in of_row)


def _verdict(fit: FrontierFit) -> str:
    """Return the verdict, or why there is none."""
    if fit.law_known and not fit.binding:
        return f"{CANNOT_TELL}: the law can bind in no cell"
    d, p, rivals = fit.dimension, fit.size, fit.rivals
    if not p.failure and p.within(0, NARROW):
        return FLAT
    logarithms = [form for form in rivals.misses if form.startswith(logarithm_of(""))]
    # Two sizes a curve fit a logarithm as well as a power.
    if fit.bends and any(
        rivals.beats(f, BY_LAW) and rivals.beats(f, BY_SAMPLES) for f in logarithms
    ):
        return LOGARITHMIC
    if d.failure:
        compared = "dimension is" if d.places == 1 else "dimensions are"
        few = f"only {d.places} {compared} compared" if d.places < MIN_DIMENSIONS else d.failure
        return f"{CANNOT_TELL}: at p/n = 1, 2 and 4 {few}"

    if d.within(-ORDER, NARROW):
        if not rivals.beats(BY_SAMPLES, BY_LAW):
            return _with_size(p)
        why = "is near −1/2, but p/n predicts left-out curves better"
    elif d.within(0, NARROW):
        if not rivals.beats(BY_LAW, BY_SAMPLES):
            return SAMPLES if not p.failure and p.within(ORDER, NARROW) else NO_FALL
        why = "is near 0, but p/(n·d) predicts left-out curves better"
    else:
        why = f"has an interval that lies neither within {NARROW:g} of −1/2 nor of 0"
    return f"{CANNOT_TELL}: the exponent of d {why}"


def _with_size(p: CommonSlope) -> str:
    """Return the verdict on the exponent of p where that of d is the law's."""
    if p.failure:
        return IN_DIMENSION
    if p.within(ORDER, NARROW):
        return ATTAINED
    if p.high < ORDER:
        return SLOWER
    return STEEPER if p.low > ORDER else IN_DIMENSION
