"""Fit a ladder under one way to count N, and state the fits in sentences."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.fits.isoflop import Budget, fit_budgets, size_exponent, surface_best
from reports.fits.scaling import Interval, Scaling, fit_scaling
from reports.fits.slope import LEVEL
from reports.measures import as_list
from reports.numbers import Number, Sentence

ALL = "all parameters"
WITHOUT = "without embeddings"
TOKEN_EMBEDDING = "embedding"
EMBEDDINGS = (TOKEN_EMBEDDING, "position")
"""The groups in params_by_group that the second convention leaves out of N, as Kaplan et al. do."""
COMPUTE_EXPONENT = "a = β/(α + β)"
PARAMETERS = {
    "E": "E",
    "A": "A",
    "B": "B",
    "alpha": "α",
    "beta": "β",
    "compute_exponent": COMPUTE_EXPONENT,
}
"""Field of a Scaling → its name on the page."""


class LadderRuns(NamedTuple):
    """The trials of a ladder, one entry per trial: tokens seen, held-out loss in nats per token,
    number of the compute budget, and trial id."""

    tokens: np.ndarray
    loss: np.ndarray
    budget: np.ndarray
    trials: tuple[str, ...]


class Convention(NamedTuple):
    """What N counts, and the fits under it. fit: a Scaling, or why there is none. table:
    parameter → its sentence."""

    name: str
    n: np.ndarray
    fit: Scaling | str
    budgets: list[Budget]
    table: dict[str, Sentence]
    basis: Sentence
    warnings: tuple[str, ...]
    minima: list[Sentence]
    exponent: Sentence

    def sentences(self) -> list[Sentence]:
        return [*self.table.values(), self.basis, *self.minima, self.exponent]


class Source(NamedTuple):
    """Where a convention's numbers come from: the prefix of their keys, what N counts, and the
    trials."""

    key: str
    counted: str
    trials: tuple[str, ...]

    def number(
        self,
        part: str,
        value: float,
        how: str,
        style: str = "sig3",
        rows: np.ndarray | None = None,
    ) -> Number:
        """Return a number about these trials, or about those where the mask `rows` is true."""
        trials = self.trials
        if rows is not None:
            trials = tuple(t for t, used in zip(self.trials, rows, strict=True) if used)
        return Number(f"{self.key}:{part}", value, f"{how}; N is {self.counted}", trials, style)

    def interval(
        self, part: str, value: Interval, how: str, rows: np.ndarray | None = None
    ) -> Sentence:
        """Return a value with its interval, or alone where there is no interval."""
        parts = {
            end: self.number(f"{part}:{end}", getattr(value, end), f"{how}, {end}", rows=rows)
            for end in value._fields
        }
        if np.isfinite(value.low):
            return Sentence("{value} ({low} to {high})", parts)
        return Sentence("{value}", {"value": parts["value"]})


def sizes_without_embeddings(rows: pd.DataFrame) -> np.ndarray | None:
    """Return p less the trainable embeddings of tokens and positions.

    Return None when a row does not list them, when nothing else is left, or when two different p
    become one size.
    """
    counts = [
        {group["group"]: group["trainable"] for group in as_list(groups)}
        for groups in rows["params_by_group"]
    ]
    if not all(TOKEN_EMBEDDING in groups for groups in counts):
        return None

    p = rows["p"].to_numpy(float)
    rest = p - [sum(groups.get(name, 0) for name in EMBEDDINGS) for groups in counts]
    one_to_one = len(set(zip(p, rest, strict=True))) == len(set(p)) == len(set(rest))
    return rest if one_to_one and (rest > 0).all() else None


def fit_convention(ladder: str, name: str, n: np.ndarray, runs: LadderRuns) -> Convention:
    """Fit the scaling law and the curves of the budgets to the sizes `n`, one per run. ladder: the
    ladder's key."""
    counted = "p" if name == ALL else "p less embedding and position"
    source = Source(f"{ladder}:{name}", counted, runs.trials)
    fit = fit_scaling(n, runs.tokens, runs.loss)
    budgets = fit_budgets(n, runs.tokens, runs.loss, runs.budget)

    if isinstance(fit, str):
        table = {}
        basis = Sentence("No fit: {why}.", {"why": fit})
        warnings = ()
    else:
        table = _table(fit, source)
        basis = _basis(fit, source)
        warnings = fit.warnings

    minima = [_minimum(budget, i, source, fit) for i, budget in enumerate(budgets)]
    exponent = _exponent(budgets, source, fit)
    return Convention(name, n, fit, budgets, table, basis, warnings, minima, exponent)


def _table(fit: Scaling, source: Source) -> dict[str, Sentence]:
    how = "sum of Huber's loss of log residuals of E + A/N^α + B/D^β at its minimum"
    return {
        shown: source.interval(field, getattr(fit, field), f"{field}, {how}")
        for field, shown in PARAMETERS.items()
    }


def _basis(fit: Scaling, source: Source) -> Sentence:
    """State a fit's objective, δ, filter, draws and held-out errors."""
    parts: dict[str, Number | str] = {
        "delta": source.number("delta", fit.delta, "Huber's δ"),
        "objective": source.number(
            "objective", fit.objective, "sum of Huber's loss of log residuals at the minimum"
        ),
        "agreement": source.number(
            "agreement",
            fit.agreement,
            "share of starts that ended within 0.1 % of the minimum",
            "percent",
        ),
        "starts": source.number("starts", fit.starts, "starts of the search", "int"),
        "cells": source.number("cells", fit.cells, "distinct (N, D)", "int"),
        "runs": source.number("runs", fit.runs, "trials fitted", "int"),
        "level": source.number("level", 100 * LEVEL, "level of the intervals in percent", "int"),
        "draws": source.number("draws", len(fit.draws), "bootstrap draws", "int"),
    }
    text = (
        "Objective: the sum of Huber's loss (δ = {delta}) of log residuals over {runs} trials at"
        " {cells} pairs of N and D, no trial left out. Its minimum is {objective}, which"
        " {agreement} of {starts} starts reached. In brackets: {level} % intervals, bootstrap over"
        " pairs with their seeds, {draws} draws. "
    )
    if not fit.held_out:
        return Sentence(text + "No held-out error.", parts)

    parts["out"] = source.number(
        "out", fit.held_out_cells, "cells of most 6·N·D, left out and predicted", "int"
    )
    errors = []
    for i, (form, error) in enumerate(fit.held_out.items()):
        how = f"exp(RMS log error) - 1 of {form} on the cells of most 6·N·D"
        parts[f"error{i}"] = source.number(f"held-out {form}", error - 1, how, "percent2")
        parts[f"form{i}"] = form
        errors.append(f"{{error{i}}} for {{form{i}}}")
    text += (
        "Fitted without the {out} pairs of most compute, it typically misses them by "
        + ", ".join(errors)
        + "."
    )
    return Sentence(text, parts)


def _minimum(budget: Budget, i: int, source: Source, fit: Scaling | str) -> Sentence:
    """State the best size of the i-th budget, by its own curve and by the fitted surface."""
    used = budget.runs
    parts: dict[str, Number | str] = {
        "compute": source.number(
            f"budget{i}:compute",
            budget.compute,
            "geometric mean of 6·N·D of the budget's trials",
            rows=used,
        ),
        "sizes": source.number(
            f"budget{i}:sizes", budget.sizes, "distinct N of the budget", "int", used
        ),
    }
    text = "{compute} FLOP, {sizes} sizes: "
    if budget.failure:
        parts["why"] = budget.failure
        text += "no best size, {why}"
    else:
        how = "N of least loss on the budget's curve l + a·N^−α + b·D^−β"
        best = source.interval(f"budget{i}:best", budget.best, how, used)
        parts |= best.parts
        parts["per"] = source.number(
            f"budget{i}:per",
            budget.compute / 6 / budget.best.value**2,
            "tokens per parameter at that N: compute / (6·N²)",
            rows=used,
        )
        text += "N = " + best.template + ", {per} tokens per parameter"
    if budget.note:
        text += "; no interval, {note}"
        parts["note"] = budget.note
    if isinstance(fit, str) or min(fit.A.value, fit.B.value) <= 0:
        return Sentence(text, parts)

    how = "N of least loss on the fitted surface at this compute"
    surface = source.interval(f"budget{i}:surface", surface_best(fit, budget.compute), how)
    parts |= {f"surface_{end}": number for end, number in surface.parts.items()}
    parts["surface_tokens"] = source.number(
        f"budget{i}:surface_tokens",
        budget.compute / 6 / surface.parts["value"].value,
        "D at that N: compute / (6·N)",
    )
    shown = surface.template.replace("{", "{surface_")
    return Sentence(f"{text}. The surface: N = {shown}, D = {{surface_tokens}}", parts)


def _exponent(budgets: list[Budget], source: Source, fit: Scaling | str) -> Sentence:
    """State how the best sizes of the budgets grow with compute, and whether the surface says
    so too."""
    exponent = size_exponent(budgets)
    if exponent is None:
        return Sentence("Fewer than two budgets have a best size, so they give no exponent.")
    how = "weighted least squares of log best N against log compute over budgets with a best size"
    value = source.interval("exponent", exponent, how)
    text = "The best sizes of the budgets grow as compute to the power " + value.template
    if not np.isfinite(exponent.low):
        return Sentence(
            text + "; no interval, for want of runs to judge the noise by.", value.parts
        )
    if isinstance(fit, str):
        return Sentence(text + ".", value.parts)

    surface = fit.compute_exponent
    other = source.interval("surface_exponent", surface, "β/(α + β) of the fitted surface")
    parts = value.parts | {f"surface_{end}": number for end, number in other.parts.items()}
    text += ", those of the surface to the power " + other.template.replace("{", "{surface_")
    if not np.isfinite([exponent.high, surface.low, surface.high]).all():
        return Sentence(text + ".", parts)
    overlap = exponent.low <= surface.high and surface.low <= exponent.high
    parts["overlap"] = "overlap" if overlap else "do not overlap"
    return Sentence(text + ": the intervals {overlap}.", parts)
