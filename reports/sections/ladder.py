"""The section "Compute-optimal ladder": held-out loss of language models trained in a single pass,
against size and tokens.

Rows: ok trials of the task `text-stream` at configurations whose every seed finished, one ladder
per setting of everything but n and size (so per corpus, tokenizer and recipe). N is p; a second fit
leaves the embeddings out of it, because the convention moves the compute exponent (Kaplan et al.
2020, Hoffmann et al. 2022; Porian et al. 2024 tell them apart).
"""

import json
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.charts.drawing import COLOURS, SYMBOLS, look
from reports.evidence import Evidence
from reports.fits.isoflop import Budget, budgets_of, fit_budgets, size_exponent
from reports.fits.scaling import Interval, Scaling, fit_scaling
from reports.fits.slope import LEVEL
from reports.measures import as_list
from reports.numbers import Number, Sentence

TASK = "text-stream"
EMBEDDINGS = ("embedding", "position")
"""Groups of params_by_group that the second convention leaves out of N, as Kaplan et al. do."""
ALL, WITHOUT = "all parameters", "without embeddings"
PARAMETERS = {
    "E": "E",
    "A": "A",
    "B": "B",
    "alpha": "α",
    "beta": "β",
    "compute_exponent": "a = β/(α + β)",
}


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


class Ladder(NamedTuple):
    """One ladder: what it is made of, its fits by convention, its chart under `key`, and
    sentences for the page. repeated: some trial saw tokens more than once."""

    key: str
    settings: str
    intro: Sentence
    conventions: list[Convention]
    moved: Sentence
    extrapolation: Sentence
    repeated: bool
    figure: go.Figure

    def numbers(self) -> list[Number]:
        said = [self.intro, self.moved, self.extrapolation]
        for c in self.conventions:
            said += [*c.table.values(), c.basis, *c.minima, c.exponent]
        return [number for sentence in said for number in sentence.numbers()]


def ladders(evidence: Evidence) -> list[Ladder]:
    """Every ladder in the store, in the order of their settings."""
    t = evidence.trials
    t = t[t["task"].eq(TASK) & t["complete"] & t["test_loss"].gt(0) & t["tokens_seen"].gt(0)]
    groups = t.groupby(t["settings_json"].map(_without_n), sort=True)
    return [_ladder(f"ladder{i}", str(settings), rows) for i, (settings, rows) in enumerate(groups)]


def _without_n(settings_json: str) -> str:
    return ", ".join(f"{k} {v}" for k, v in sorted(json.loads(settings_json).items()) if k != "n")


def _ladder(key: str, settings: str, rows: pd.DataFrame) -> Ladder:
    trials = tuple(rows["trial_id"])
    n, d, loss = (rows[column].to_numpy(float) for column in ("p", "tokens_seen", "test_loss"))
    budget = budgets_of(6 * n * d)
    conventions = [_convention(key, ALL, n, d, loss, budget, trials)]
    repeated = bool((rows["tokens_seen"] > rows["tokens_distinct"]).any())
    fewer = _without_embeddings(rows)
    if fewer is not None:
        conventions.append(_convention(key, WITHOUT, fewer, d, loss, budget, trials))

    def number(name: str, value: float, how: str, style: str = "sig3") -> Number:
        return Number(f"{key}:{name}", float(value), how, trials, style)

    intro = Sentence(
        "{trials} trials at {cells} pairs of size and tokens: p from {p_min} to {p_max}, {d_min} to"
        " {d_max} tokens, held-out loss {l_min} to {l_max} nats per token.",
        {
            "trials": number(
                "trials", len(rows), "ok trials of task text-stream with these settings", "int"
            ),
            "cells": number(
                "cells", len(set(zip(n, d, strict=True))), "distinct (p, tokens_seen)", "int"
            ),
            "p_min": number("p_min", n.min(), "smallest p"),
            "p_max": number("p_max", n.max(), "largest p"),
            "d_min": number("d_min", d.min(), "smallest tokens_seen"),
            "d_max": number("d_max", d.max(), "largest tokens_seen"),
            "l_min": number("l_min", loss.min(), "smallest test_loss"),
            "l_max": number("l_max", loss.max(), "largest test_loss"),
        },
    )
    extrapolation = Sentence(
        "The largest run took 6·N·D = {c_max} FLOP. Nothing here was checked beyond it: the"
        " held-out error is of one step up this ladder, E is what is left over at these sizes and"
        " not the entropy of text, and a form that does as well here may say something else a"
        " decade on.",
        {"c_max": number("c_max", (6 * n * d).max(), "largest 6·p·tokens_seen")},
    )
    return Ladder(
        key,
        settings,
        intro,
        conventions,
        _moved(conventions),
        extrapolation,
        repeated,
        _figure(rows, conventions),
    )


def _without_embeddings(rows: pd.DataFrame) -> np.ndarray | None:
    """p less the trainable embeddings of tokens and positions; None where a row does not tell
    them, where nothing else is left, or where that makes two sizes one."""
    counted = [
        {g["group"]: g["trainable"] for g in as_list(groups)} for groups in rows["params_by_group"]
    ]
    if not all(EMBEDDINGS[0] in groups for groups in counted):
        return None
    p = rows["p"].to_numpy(float)
    left = p - [sum(groups.get(name, 0) for name in EMBEDDINGS) for groups in counted]
    same = len(set(zip(p, left, strict=True))) == len(set(p)) == len(set(left))
    return left if same and (left > 0).all() else None


def _convention(
    ladder: str,
    name: str,
    n: np.ndarray,
    d: np.ndarray,
    loss: np.ndarray,
    budget: np.ndarray,
    trials: tuple[str, ...],
) -> Convention:
    counted = "p" if name == ALL else "p less embedding and position"
    fit, budgets = fit_scaling(n, d, loss), fit_budgets(n, d, loss, budget)
    key = f"{ladder}:{name}"

    def number(
        part: str, value: float, how: str, style: str = "sig3", rows: np.ndarray | None = None
    ) -> Number:
        used = (
            trials
            if rows is None
            else tuple(t for t, mine in zip(trials, rows, strict=True) if mine)
        )
        return Number(f"{key}:{part}", value, f"{how}; N is {counted}", used, style)

    def interval(part: str, value: Interval, how: str, rows: np.ndarray | None = None) -> Sentence:
        parts = {
            end: number(f"{part}:{end}", getattr(value, end), f"{how}, {end}", rows=rows)
            for end in value._fields
        }
        return Sentence(
            "{value} ({low} to {high})" if np.isfinite(value.low) else "{value}",
            parts if np.isfinite(value.low) else {"value": parts["value"]},
        )

    if isinstance(fit, str):
        table, basis, warnings = {}, Sentence("No fit: {why}.", {"why": fit}), ()
    else:
        how = "sum of Huber's loss of log residuals of E + A/N^α + B/D^β at its minimum"
        table = {
            shown: interval(field, getattr(fit, field), f"{field}, {how}")
            for field, shown in PARAMETERS.items()
        }
        basis, warnings = _basis(fit, number), fit.warnings
    minima = [_minimum(b, i, number, interval) for i, b in enumerate(budgets)]
    return Convention(
        name, n, fit, budgets, table, basis, warnings, minima, _exponent(budgets, interval)
    )


def _basis(fit: Scaling, number: Any) -> Sentence:
    """Objective, δ, filter, draws and held-out errors of a fit."""
    parts = {
        "delta": number("delta", fit.delta, "Huber's δ"),
        "objective": number(
            "objective", fit.objective, "sum of Huber's loss of log residuals at the minimum"
        ),
        "agreement": number(
            "agreement",
            fit.agreement,
            "share of starts that ended within 0.1 % of the minimum",
            "percent",
        ),
        "starts": number("starts", fit.starts, "starts of the search", "int"),
        "cells": number("cells", fit.cells, "distinct (N, D)", "int"),
        "runs": number("runs", fit.runs, "trials fitted", "int"),
        "level": number("level", 100 * LEVEL, "level of the intervals in percent", "int"),
        "draws": number("draws", len(fit.draws), "bootstrap draws", "int"),
    }
    text = (
        "Sum of Huber's loss (δ = {delta}) of log residuals over {runs} trials at {cells} pairs of"
        " N and D, no trial left out: {objective} at its minimum, where {agreement} of {starts}"
        " starts ended. In brackets: {level} % intervals, bootstrap over pairs with seeds inside,"
        " {draws} draws. "
    )
    if not fit.held_out:
        return Sentence(text + "No held-out error.", parts)
    parts["out"] = number(
        "out", fit.held_out_cells, "cells of most 6·N·D, left out and predicted", "int"
    )
    errors = []
    for i, (form, error) in enumerate(fit.held_out.items()):
        parts |= {
            f"error{i}": number(
                f"held-out {form}",
                error - 1,
                f"exp(RMS log error) − 1 of {form} on the cells of most 6·N·D",
                "percent2",
            ),
            f"form{i}": form,
        }
        errors.append(f"{{error{i}}} for {{form{i}}}")
    return Sentence(
        text
        + "Fitted without the {out} pairs of most compute, it misses them typically by "
        + ", ".join(errors)
        + ".",
        parts,
    )


def _minimum(b: Budget, i: int, number: Any, interval: Any) -> Sentence:
    """A budget's line."""
    parts: dict[str, Any] = {
        "compute": number(
            f"budget{i}:compute",
            b.compute,
            "geometric mean of 6·N·D of the budget's trials",
            rows=b.runs,
        ),
        "sizes": number(f"budget{i}:sizes", b.sizes, "distinct N of the budget", "int", b.runs),
    }
    if b.failure:
        return Sentence(
            "{compute} FLOP, {sizes} sizes: no best size, {why}", parts | {"why": b.failure}
        )
    best = interval(
        f"budget{i}:best",
        b.best,
        "N at the minimum of a parabola of mean test_loss in log N",
        b.runs,
    )
    per = b.compute / 6 / b.best.value**2
    parts |= best.parts | {
        "per": number(
            f"budget{i}:per", per, "tokens per parameter at that N: compute / (6·N²)", rows=b.runs
        )
    }
    text = "{compute} FLOP, {sizes} sizes: N = " + best.template + ", {per} tokens per parameter"
    return Sentence(
        text + ("; no interval, {note}" if b.note else ""),
        parts | ({"note": b.note} if b.note else {}),
    )


def _exponent(budgets: list[Budget], interval: Any) -> Sentence:
    found = size_exponent(budgets)
    if found is None:
        return Sentence(
            "Fewer than two budgets have a best size, so the parabolas give no exponent."
        )
    said = interval(
        "exponent",
        found,
        "least squares of log best N against log compute over budgets with a best size",
    )
    why = "" if np.isfinite(found.low) else "; two budgets give no interval"
    return Sentence(
        "The best sizes of the parabolas grow as compute to the power " + said.template + why + ".",
        said.parts,
    )


def _moved(conventions: list[Convention]) -> Sentence:
    """How the compute exponent depends on what N counts."""
    known = [c for c in conventions if not isinstance(c.fit, str)]
    if len(known) < 2:
        return Sentence(
            "The rows give the compute exponent under one way of counting parameters alone."
        )
    first, second = (c.table[PARAMETERS["compute_exponent"]].parts for c in known)
    parts = {
        f"{end}{i}": number for i, one in enumerate((first, second)) for end, number in one.items()
    }
    return Sentence(
        "What N counts moves the compute exponent a: {value0} ({low0} to {high0}) with all"
        " parameters, {value1} ({low1} to {high1}) without embeddings of tokens and positions.",
        parts,
    )


def _figure(rows: pd.DataFrame, conventions: list[Convention]) -> go.Figure:
    """IsoFLOP curves: loss of every trial, the parabola of each budget with its minimum, and the
    fitted form at that compute.

    Choices of x: N under every convention, and tokens.
    """
    tokens = rows["tokens_seen"].to_numpy(float)
    loss, ids = rows["test_loss"].to_numpy(float), rows["trial_id"].to_numpy()
    views = [(f"N, {c.name}", c.n) for c in conventions] + [("tokens trained on", tokens)]
    figure, first = go.Figure(), conventions[0]

    def add(lines: list[tuple[np.ndarray, np.ndarray]], **style: Any) -> None:
        meta = [{"x": x.tolist(), "y": y.tolist()} for x, y in lines]
        figure.add_trace(go.Scatter(**meta[0], meta=meta, **style))

    def points(mine: np.ndarray, **style: Any) -> None:
        hover = (
            "<b>%{customdata[0]}</b><br>%{customdata[1]}<br>%{customdata[2]}<br>x %{x:.3g}, loss"
            " %{y:.4g}<extra></extra>"
        )
        add(
            [(x[mine], loss[mine]) for _, x in views],
            mode="markers",
            customdata=ids[mine].tolist(),
            hovertemplate=hover,
            **style,
        )

    for i, budget in enumerate(first.budgets):
        colour, name = COLOURS[i % len(COLOURS)], _flop(budget.compute)
        group = {"legendgroup": name, "name": name}
        points(
            budget.runs,
            marker={
                "color": colour,
                "symbol": SYMBOLS[i % len(SYMBOLS)],
                "size": 8,
                "opacity": 0.85,
            },
            **group,
        )
        quiet = group | {"showlegend": False, "hoverinfo": "skip"}
        own = [c.budgets[i] for c in conventions]
        add(
            _lines([(b, b.at) for b in own]),
            mode="lines",
            line={"color": colour, "width": 2},
            **quiet,
        )
        minima = [
            (
                (np.array([b.best.value]), np.array([b.loss]))
                if not b.failure
                else (np.array([]), np.array([]))
            )
            for b in own
        ]
        minima.append((budget.compute / 6 / minima[0][0], minima[0][1]))
        add(
            minima,
            mode="markers",
            marker={
                "color": colour,
                "symbol": "star",
                "size": 15,
                "line": {"color": "#fff", "width": 1},
            },
            **quiet,
        )
        if not any(isinstance(c.fit, str) for c in conventions):
            forms = [(b, _along(c.fit, b)) for b, c in zip(own, conventions, strict=True)]
            add(
                _lines(forms),
                mode="lines",
                line={"color": colour, "width": 1, "dash": "dash"},
                **quiet,
            )
    alone = (
        ~np.any([b.runs for b in first.budgets], axis=0)
        if first.budgets
        else np.ones(len(rows), bool)
    )
    if alone.any():
        points(
            alone,
            marker={"color": "#777", "symbol": "circle-open", "size": 8},
            name="in no budget of three sizes",
        )
    grid = {"showgrid": True, "gridcolor": "#eee", "exponentformat": "power"}
    y_axis = {"title": {"text": "held-out loss, nats per token"}, **grid}
    axes = [{"title": {"text": title}, "type": "log", **grid} for title, _ in views]
    figure.update_layout(
        look(560),
        xaxis=axes[0],
        yaxis=y_axis,
        meta={
            "choices": [
                {"label": title, "xaxis": axis, "yaxis": y_axis}
                for (title, _), axis in zip(views, axes, strict=True)
            ]
        },
    )
    return figure


def _flop(compute: float) -> str:
    mantissa, exponent = f"{compute:.1e}".split("e")
    return f"{mantissa}·10<sup>{int(exponent)}</sup> FLOP"


def _along(fit: Any, b: Budget) -> Any:
    """The fitted form at the budget's compute, as a function of N."""
    return lambda n: fit.at(n, b.compute / 6 / n)


def _lines(curves: list[tuple[Budget, Any]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """A curve over the budget's sizes under each convention, and that of the first one against
    tokens."""
    found = []
    for b, curve in curves:
        n = np.geomspace(b.smallest, b.largest, 40)
        found.append((n, curve(n)))
    n, y = found[0]
    return [*found, (curves[0][0].compute / 6 / n, y)]
