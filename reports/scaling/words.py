"""What a fit to a table says, in plain words: first what the rows cannot tell, then the answer,
then what it rests on.

    for block in blocks(fitted): ...
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from reports.scaling.audit import Audit, missed_by
from reports.scaling.blocks import Block, Grid, Listing
from reports.scaling.curvature import LEVEL, bends
from reports.scaling.fitting import Estimate, Fit
from reports.scaling.held_out import HeldOut, is_candidate, is_near
from reports.scaling.number import MINUS, number
from reports.scaling.optimum import Optimum

if TYPE_CHECKING:
    from reports.scaling.table_fit import TableFit

COMPUTE = "compute_exponent"
"""The key of the exponent of the best N in compute."""


def blocks(fitted: "TableFit") -> list[Block]:
    """Return everything that is said, in order."""
    audit = fitted.audit
    said: list[Block] = [*first(fitted)]
    said += [_parameters(audit.fits[name]) for name in fitted.shown]
    said += [_rests_on(fitted)]
    if isinstance(fitted.optimum, str):
        said.append(f"No best split. {sentence(fitted.optimum)}")
    elif fitted.optimum is not None:
        said.append(_optimum(fitted.fit, fitted.optimum, fitted.loaded.points.name("Y")))
    if len(judged := [found for found in audit.held_out if not found.failure]) > 1:
        said.append(_rivals(fitted, judged))
    if fitted.sensitivity:
        said.append(_sensitivity(fitted))
    said.append(f"Curvature: {fitted.curvature}.")
    if left_out := _left_out(audit):
        said.append(Listing("Forms that are not judged", left_out))
    if careful := [*fitted.loaded.notes, *map(sentence, audit.warnings)]:
        said.append(Listing("About the table", careful))
    return said


def first(fitted: "TableFit") -> Iterator[str]:
    """Yield the opening sentences: what the rows cannot tell, the form and why, its exponents."""
    audit, fit = fitted.audit, fitted.fit
    if doubts := list(_doubts(fitted)):
        yield f"These rows do not settle the curve: {'; '.join(doubts)}."

    yield sentence(audit.why)
    if fitted.form != audit.headline:
        yield f"As asked, the rest is about {fitted.form}{_beside_the_best(fitted)}."
    yield f"{fitted.form}: {_exponents(fit)}."


def _beside_the_best(fitted: "TableFit") -> str:
    """Return how the form that was asked for compares with the headline form."""
    audit = fitted.audit
    asked, best = _held_out(audit, fitted.form), _held_out(audit, audit.headline)
    if asked.failure:
        return "" if best.failure else f", which is not judged: {asked.failure}"
    misses = f", which misses them by {missed_by(asked, fitted.objective)}"
    if asked.note:
        return f"{misses} and is no candidate: {asked.note}"
    return f"{misses}, {'not clearly more' if is_near(asked) else 'clearly more'}"


def _doubts(fitted: "TableFit") -> Iterator[str]:
    """Yield what the rows cannot tell of the form that is shown first."""
    audit, fit = fitted.audit, fitted.fit
    yield from fit.warnings
    if not any(estimate.method for estimate in fit.estimates):
        yield "there is no 95 % interval"

    found = _held_out(audit, fitted.form)
    if np.isfinite(found.signed_low) and not found.signed_low <= 0 <= found.signed_high:
        side = "high" if found.signed > 0 else "low"
        yield f"{fitted.form} predicts the largest runs too {side}, by {_signed(found, fitted)}"
    bent = [bend for bend in bends(fit, fitted.loaded.points) if bend.p <= LEVEL]
    if bent:
        name = fitted.loaded.points.name(bent[0].role)
        yield f"the rows bend with {name} in a way that {fitted.form} does not follow"
    rivals = [found for found in audit.held_out if found.form != audit.headline]
    if near := [rival.form for rival in rivals if is_near(rival)]:
        verb = "is" if len(near) == 1 else "are"
        yield f"{_listed(near)} {verb} not told from {audit.headline} by the largest runs"


def _held_out(audit: Audit, form: str) -> HeldOut:
    return next(found for found in audit.held_out if found.form == form)


def _signed(found: HeldOut, fitted: "TableFit") -> str:
    """Return the mean residual with its interval."""
    log = fitted.objective.residual == "log"
    return _with_ends(found.signed, found.signed_low, found.signed_high, log)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _left_out(audit: Audit) -> list[str]:
    """Return why forms could not be fitted, or not be judged."""
    reasons = {found.form: found.failure for found in audit.held_out if found.failure}
    reasons |= audit.failures
    return [
        sentence(f"{form}: {why.replace(f'form {form}: ', '')}") for form, why in reasons.items()
    ]


def _exponents(fit: Fit) -> str:
    """Return the exponents with their intervals, in a row."""
    parts = [_stated(fit[key]) for key in fit.form.headline]
    parts += [
        f"the best N grows as compute to the power {_stated(estimate)}"
        if estimate.key == COMPUTE
        else _stated(estimate)
        for estimate in fit.derived
    ]
    return ", ".join(parts)


def _stated(estimate: Estimate) -> str:
    interval = f" (95 %: {ends(estimate)})" if estimate.method else " (no interval)"
    return f"{estimate.symbol} = {number(estimate.value)}{interval}"


def _parameters(fit: Fit) -> Grid:
    """Return the table of a form's parameters."""
    meanings = {parameter.key: parameter.meaning for parameter in fit.form.parameters}
    meanings[COMPUTE] = "exponent of the best N in compute"
    rows = [
        (
            estimate.symbol,
            number(estimate.value),
            ends(estimate),
            estimate.method or "–",
            meanings.get(estimate.key, ""),
        )
        for estimate in fit.parameters.values()
    ]
    head = ("parameter", "value", "95 % interval", "by", "meaning")
    return Grid(f"{fit.form.name}, {fit.form.formula}", head, rows)


def _rests_on(fitted: "TableFit") -> Listing:
    """Return objective, filter, rows, ranges, intervals and certificate."""
    fit, loaded = fitted.fit, fitted.loaded
    left_out = f", which leaves out {_rows(loaded.left_out)}" if loaded.left_out else ""
    sizes = f"{_rows(fit.rows)}, {fit.cells} different points"
    if loaded.points.cluster is not None:
        sizes += f", {fit.clusters} clusters by '{loaded.points.name('cluster')}'"
    ranges = ", ".join(
        f"{loaded.points.name(role)} {number(low)} to {number(high)}"
        for role, (low, high) in fit.ranges.items()
    )
    return Listing(
        f"What {fit.form.name} rests on",
        [
            f"Columns of {loaded.table}: {loaded.columns}.",
            f"Filter: {loaded.filter or 'none'}{left_out}.",
            f"Objective: {fit.objective}; {number(fit.cost)} at the minimum, where"
            f" {fit.agreement:.0%} of {fit.starts_said} end.",
            f"Fitted: {sizes}; {ranges}.",
            f"Intervals: {fit.interval}.",
            f"Form: {fit.form.source}.",
        ],
    )


def _optimum(fit: Fit, best: Optimum, measure: str) -> Listing:
    """Return the best split of a budget."""
    parts = [
        f"{estimate.symbol} = {number(estimate.value)} {what}"
        + (f" ({ends(estimate)})" if estimate.method else " (no interval)")
        for estimate, what in ((best.N, "parameters"), (best.D, "tokens"))
    ]
    reach = f"Extrapolated: {best.extrapolation}." if best.extrapolation else "Within the table."
    return Listing(
        f"Best split of {number(best.budget)} FLOPs by {fit.form.name}",
        [
            f"{', '.join(parts)}, at 6 FLOPs per parameter and token.",
            f"There '{measure}' is {number(best.loss.value)}"
            + (f" ({ends(best.loss)})." if best.loss.method else "."),
            reach,
        ],
    )


def _rivals(fitted: "TableFit", judged: list[HeldOut]) -> Grid:
    """Return every form with its held-out error, and how it differs from the best."""
    log = fitted.objective.residual == "log"
    rows = []
    for found in judged:
        more, verdict = "–", "the best" if is_candidate(found) else f"no candidate: {found.note}"
        if found.form != fitted.audit.headline:
            ends = (found.difference_low, found.difference_high)
            more = _with_ends(found.difference, *ends, log)
            if is_candidate(found):
                verdict = "not told from the best" if is_near(found) else "worse"
        missed = missed_by(found, fitted.objective)
        rows.append((found.form, missed, _signed(found, fitted), more, verdict))
    title = f"Forms, fitted without {fitted.audit.held_out_what} and asked for them"
    head = ("form", "misses by", "on average (95 %)", "more than the best (95 %)", "")
    return Grid(title, head, rows)


def _with_ends(value: float, low: float, high: float, log: bool) -> str:
    """Return a mean residual with its interval, where it has one."""
    if not np.isfinite([low, high]).all():
        return share(value, log)
    return f"{share(value, log)} ({share(low, log)} to {share(high, log)})"


def _sensitivity(fitted: "TableFit") -> Grid:
    """Return how exponents move when a part of the table or of the objective changes."""
    fit = fitted.fit
    keys = list(fit.parameters)
    rows = [
        (fit[change.key].symbol, number(change.before), number(change.after), change.what)
        for change in sorted(fitted.sensitivity, key=lambda change: keys.index(change.key))
    ]
    return Grid(
        f"What moves the exponents of {fit.form.name}", ("exponent", "from", "to", "when"), rows
    )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def ends(estimate: Estimate) -> str:
    """Return an interval in words; a dash where there is none."""
    if not estimate.method:
        return "–"
    return f"{number(estimate.low)} to {number(estimate.high)}"


def share(log_ratio: float, log: bool) -> str:
    """Return a mean residual with its sign: in per cent where it is of logarithms."""
    text = f"{100 * np.expm1(log_ratio):+.2f} %" if log else f"{log_ratio:+.3g}"
    return text.replace("-", MINUS)


def sentence(text: str) -> str:
    """Return a text as a sentence: with a full stop, and a capital unless a form's name or a
    column's begins it."""
    if text.startswith(("no ", "the ", "without ")):
        text = text[0].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."
