"""Set the stability S of the most robust fits found beside that of plain training: the radius that
a search raises is another measure, and S need not rise with it.

print(stability_beside_plain(fit_frontier(radii(evidence))[0], evidence))
"""

import numpy as np
import pandas as pd

from reports.evidence import Evidence
from reports.frontier_answer import FrontierFit
from reports.measures import STABILITY
from reports.numbers import Number, Sentence


def stability_beside_plain(fit: FrontierFit, evidence: Evidence) -> Sentence:
    """Return by which factor S of the fits found differs from S of plain training on the same data;
    empty where no cell has both."""
    both = _both(fit, evidence)
    if both.empty:
        return Sentence("")
    trials = tuple(trial for own in both["trial_id"] + both["plain_id"] for trial in own)
    logs = pd.Series(np.log(both["found"] / both["plain_s"]), index=both.index)
    of_cells = logs.groupby(both["cell"]).mean()
    ratio = float(np.exp(of_cells.mean()))

    def number(name: str, value: float, how: str, style: str) -> Number:
        return Number(f"answer:{fit.problem}:{name}", value, how, trials, style)

    how = "stability_attack_mean of the fit found over that of plain training"
    parts = {
        "times": number("S times", ratio, f"geometric mean over cells of {how}", "factor"),
        "below": number("S below", int((of_cells < 0).sum()), f"cells below 1 of {how}", "int"),
        "cells": number("S cells", len(of_cells), "cells with both", "int"),
    }
    return Sentence(
        "On held-out inputs, S of the fits found is {times} times that of plain training, and lower"
        " than it in {below} of {cells} configurations.",
        parts,
    )


def _both(fit: FrontierFit, evidence: Evidence) -> pd.DataFrame:
    """Return the rows of the fit with S of the fit found, `found`, and of plain training,
    `plain_s`, where both are known and above 0."""
    searched, trained = _stability(evidence.frontier), _stability(evidence.trials)
    rows = fit.rows[fit.rows["radius"].gt(0) & fit.rows["plain"].gt(0)]
    rows = rows.assign(
        found=[_mean(searched, own) for own in rows["trial_id"]],
        plain_s=[_mean(trained, own) for own in rows["plain_id"]],
    )
    return rows[rows["found"].gt(0) & rows["plain_s"].gt(0)]


def _stability(trials: pd.DataFrame) -> pd.Series:
    """Return S by trial."""
    if STABILITY not in trials:
        return pd.Series(dtype=float)
    return trials.set_index("trial_id")[STABILITY].astype(float)


def _mean(stability: pd.Series, trials: tuple[str, ...]) -> float:
    return float(stability.reindex(list(trials)).mean())
