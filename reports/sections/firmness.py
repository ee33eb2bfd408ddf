"""The section "How firm each slope is": every headline slope under each filter, and where its
uncertainty comes from."""

from typing import NamedTuple

from reports.budget import Part, budget
from reports.evidence import Evidence, fit_rows
from reports.law import FILTERS, Fits, KindFit
from reports.measures import LOWER, RADIUS, STABILITY
from reports.numbers import Number, Sentence
from reports.sections.section import Section, fill
from reports.verdicts import SlopeVerdict

NAMES = {STABILITY: "stability", LOWER: "Lipschitz lower estimate", RADIUS: "training radius"}


class FilterRow(NamedTuple):
    """One slope under every filter. `cells`: slope with its interval, or why there is none.
    `changes`: whether the verdict changes with the filter, and whether chance explains that."""

    kind: str
    measure: str
    cells: list[Sentence]
    changes: str


class BudgetRow(NamedTuple):
    """One slope's budget. `parts`: standard deviation and share, None where not measured."""

    kind: str
    measure: str
    parts: list[tuple[Number, Number] | None]


def section(evidence: Evidence, fits: Fits) -> Section | None:
    fitted = [
        (kind, column, found)
        for kind in fits.kinds
        for column, found in kind.verdicts.items()
        if not found.slope.failure
    ]
    if not fitted:
        return None
    filters = [_filter_row(kind, column, found) for kind, column, found in fitted]
    budgets = [_budget_row(evidence, kind, column, found) for kind, column, found in fitted]

    html = fill(
        "firmness.html.j2",
        factors=FILTERS,
        filters=filters,
        budgets=budgets,
        sources=[part.name for part in _parts(evidence, *fitted[0])],
    )
    numbers = [number for row in filters for cell in row.cells for number in cell.numbers()]
    numbers += [number for row in budgets for pair in row.parts if pair for number in pair]
    return Section("firmness", "How firm each slope is", html, numbers)


def _filter_row(kind: KindFit, column: str, found: SlopeVerdict) -> FilterRow:
    cells = []
    for factor, (slope, _) in found.filtered.items():
        if slope.failure:
            cells.append(Sentence("too few curves"))
            continue
        how = (
            f"slope of log {column} against log p, cells past the onset from {factor} times its p"
            " on"
        )
        key = f"filter:{kind.kind}:{column}:{factor}"
        parts = {
            name: Number(f"{key}:{name}", value, f"{name}; {how}", slope.trials, "signed")
            for name, value in (("slope", slope.slope), ("low", slope.low), ("high", slope.high))
        }
        parts["cells"] = Number(f"{key}:cells", slope.cells, f"cells; {how}", slope.trials, "int")
        cells.append(Sentence("{slope} ({low} to {high}), {cells} cells", parts))
    return FilterRow(kind.kind, NAMES[column], cells, _changes(found))


def _changes(found: SlopeVerdict) -> str:
    """Say from which filters the verdict is another one; empty where it is not."""

    def filters(factors: list[int]) -> str:
        return " and ".join(f"{factor}×" for factor in factors)

    if found.flips:
        return f"the verdict changes from {filters(found.flips)} on"
    if found.others:
        return f"another verdict from {filters(found.others)} on, by no more than chance"
    return ""


def _parts(evidence: Evidence, kind: KindFit, column: str, found: SlopeVerdict) -> list[Part]:
    rows = fit_rows(evidence.trials, kind.kind)
    rows = rows[rows["trial_id"].isin(found.slope.trials)]
    slopes = [slope for slope, _ in found.filtered.values()]
    return budget(rows, found.slope.error, slopes, column)


def _budget_row(evidence: Evidence, kind: KindFit, column: str, found: SlopeVerdict) -> BudgetRow:
    shown = []
    for part in _parts(evidence, kind, column, found):
        if part.sd is None or part.share is None:
            shown.append(None)
            continue
        key = f"budget:{kind.kind}:{column}:{part.name}"
        how = f"standard deviation of the slope of log {column} that {part.name} bring"
        share = "its variance over the sum of the variances measured"
        shown.append(
            (
                Number(f"{key}:sd", part.sd, how, found.slope.trials, "sig3"),
                Number(f"{key}:share", part.share, share, found.slope.trials, "percent"),
            )
        )
    return BudgetRow(kind.kind, NAMES[column], shown)
