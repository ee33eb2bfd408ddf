"""The section "Does everything depend on p/(n·d)?": one row for each collapse test."""

from typing import NamedTuple

from reports.claims.collapse import reading
from reports.evidence import Evidence
from reports.fit_numbers import collapse_numbers
from reports.law import Fits, KindCollapse
from reports.numbers import Number
from reports.sections.section import Section, fill


class CollapseRow(NamedTuple):
    """One kind in the table of collapses. forms: the forms whose held-out errors are in
    `numbers`."""

    kind: str
    failure: str
    numbers: dict[str, Number]
    forms: list[str]
    reading: str


def section(evidence: Evidence, fits: Fits) -> Section | None:
    rows = [_row(collapse) for collapse in fits.collapses]
    if not rows:
        return None
    numbers = [number for row in rows for number in row.numbers.values()]
    html = fill("collapse.html.j2", collapses=rows)
    return Section("collapse", "Does everything depend on p/(n·d)?", html, numbers)


def _row(collapse: KindCollapse) -> CollapseRow:
    return CollapseRow(
        collapse.kind,
        collapse.collapse.failure,
        collapse_numbers(collapse),
        list(collapse.collapse.errors),
        reading(collapse.collapse),
    )
