"""Fit a table: what `unilaw fit` and `unilaw.fit` return.

fitted = fit_table("runs.csv", forms=["chinchilla"], where=["loss<4"])
fitted["alpha"].low, fitted.predict(N=1e9, D=2e10), print(fitted)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from harness.errors import UserError
from reports.scaling.audit import Audit, audit
from reports.scaling.blocks import as_text
from reports.scaling.columns import Named
from reports.scaling.curvature import verdict
from reports.scaling.fitting import Estimate, Fit, fit_form
from reports.scaling.forms import form_named
from reports.scaling.objective import HUBER, Objective
from reports.scaling.optimum import Optimum
from reports.scaling.optimum import optimum as best_split
from reports.scaling.read_table import Source
from reports.scaling.sensitivity import Change, sensitivity
from reports.scaling.table import Loaded, load
from reports.scaling.words import blocks


@dataclass(frozen=True)
class TableFit:
    """A table's fit. loaded: the points and where they come from. audit: every form that the
    columns allow, judged by the largest runs; only the forms that are shown have intervals. asked:
    the forms that the user named. objective: what was minimised. sensitivity, curvature: of the
    form that is shown first."""

    loaded: Loaded
    audit: Audit
    asked: tuple[str, ...]
    objective: Objective
    sensitivity: tuple[Change, ...]
    curvature: str

    @property
    def shown(self) -> tuple[str, ...]:
        """Return the forms whose parameters are shown: those asked for, else the headline."""
        return self.asked or (self.audit.headline,)

    @property
    def fit(self) -> Fit:
        """Return the fit of the first form asked for, else of the headline form."""
        return self.audit.fits[self.shown[0]]

    @property
    def form(self) -> str:
        """Return the name of that form."""
        return self.fit.form.name

    @property
    def parameters(self) -> dict[str, Estimate]:
        """Return its parameters and derived exponents, each with its 95 % interval, by key."""
        return self.fit.parameters

    def __getitem__(self, key: str) -> Estimate:
        """Return one of its parameters. Raise UserError for one that the form lacks."""
        return self.fit[key]

    def predict(self, **inputs: ArrayLike) -> np.ndarray:
        """Return the fitted measure at inputs by role: predict(N=1e9, D=2e10)."""
        return self.fit.predict(**inputs)

    def predict_interval(self, **inputs: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the fitted measure and the ends of the curve's 95 % interval."""
        return self.fit.predict_interval(**inputs)

    def best_split(self, budget: float) -> Optimum:
        """Return the best parameters and tokens for this many FLOPs, at 6 per parameter and token.
        Raise UserError where the form has none."""
        return best_split(self.fit, budget)

    @cached_property
    def optimum(self) -> Optimum | str | None:
        """Return the best split of the budget that was asked for, or why there is none; None where
        no budget was given."""
        if self.loaded.budget is None:
            return None
        try:
            return self.best_split(self.loaded.budget)
        except UserError as e:
            return str(e)

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each parameter of each form that is shown, with what it rests on."""
        return pd.DataFrame(
            [
                {
                    "form": name,
                    "parameter": estimate.key,
                    "value": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "unit": estimate.unit,
                    "interval": estimate.method or estimate.note,
                    "headline": name == self.audit.headline,
                    "objective": str(fit.objective),
                    "filter": self.loaded.filter,
                    "rows": fit.rows,
                    "cells": fit.cells,
                    "clusters": fit.clusters,
                }
                for name in self.shown
                for fit in (self.audit.fits[name],)
                for estimate in fit.parameters.values()
            ]
        )

    def __str__(self) -> str:
        return as_text(blocks(self))

    __repr__ = __str__


def fit_table(
    source: Source,
    forms: Sequence[str] = (),
    columns: Named = (),
    cluster: str | None = None,
    budget: str | float | None = None,
    where: Sequence[str] = (),
    loss: str = HUBER.loss,
    delta: float = HUBER.delta,
    residual: str = HUBER.residual,
    lowest: bool = False,
) -> TableFit:
    """Fit every form that the table's columns allow, and judge them by the largest runs.

    forms: those whose parameters are asked for; their rivals are fitted all the same, because a
    form that misses the large runs is only seen beside one that does not. The other arguments are
    those of `load` and of `Objective`. Raise UserError for a table, a form or an objective that
    cannot be used.
    """
    objective = Objective(loss, delta, residual).check()
    needs = {role for name in forms for role in form_named(name).inputs}
    positive = residual == "log"
    loaded = load(source, columns, cluster, budget, where, needs, positive, lowest)

    # Intervals take most of the time, and only forms that are shown need them.
    found = audit(loaded.points, objective=objective, intervals=False)
    for name in forms:
        if name in found.failures:
            raise UserError(f"{loaded.table}: {name} cannot be fitted: {found.failures[name]}")
    asked = tuple(dict.fromkeys(forms))
    shown = asked or (found.headline,)
    fits = {name: fit_form(name, loaded.points, objective) for name in shown}
    found = replace(found, fits=found.fits | fits)

    fit, points = fits[shown[0]], loaded.points
    return TableFit(loaded, found, asked, objective, sensitivity(fit, points), verdict(fit, points))
