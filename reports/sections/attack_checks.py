"""The section "Warnings from the searches": the warnings in the rows, and certified distances
within which a search found a label change."""

import re
from typing import Any, NamedTuple

import pandas as pd

from reports.evidence import Evidence
from reports.law import Fits
from reports.measures import as_list
from reports.numbers import Number
from reports.sections.section import Section, fill

FIGURE = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
"""A figure of a warning, with thousands set apart by commas."""
MOST_NAMED = 20
"""Trials named on the page. The ledger names all of them."""


class Warned(NamedTuple):
    """The trials of one kind that share one sort of warning. `text` is the warning with the range
    of each of its figures over the trials."""

    text: str
    kind: str
    number: Number
    trials: list[str]


class AttackCheck(NamedTuple):
    """What can be held against the searches.

    `checked`: trials whose row lists the warnings of its search, or None where no row does.
    `violations`: points whose certified distance exceeds the distance found. `certified`: points
    that have both distances. `violators`: the trials with violations. `unbounded`: pairs of the
    reason why there is no certified bound, and the number of trials.
    """

    checked: Number | None
    warned: list[Warned]
    violations: Number | None
    violators: list[str]
    certified: Number | None
    unbounded: list[tuple[str, Number]]

    def numbers(self) -> list[Number]:
        single = (self.checked, self.violations, self.certified)
        return [
            *(number for number in single if number is not None),
            *(warned.number for warned in self.warned),
            *(number for _, number in self.unbounded),
        ]


def section(evidence: Evidence, fits: Fits) -> Section | None:
    attacks = check_attacks(evidence)
    if not attacks.checked and not attacks.violations:
        return None
    html = fill("attack_checks.html.j2", attacks=attacks)
    return Section("trust", "Warnings from the searches", html, attacks.numbers())


def check_attacks(evidence: Evidence) -> AttackCheck:
    """Count the warnings, the broken certificates and the missing bounds."""
    trials = evidence.all_trials
    with_warnings = trials[trials["attack_warnings"].notna()]
    with_certificates = trials[trials["stability_certified_violations"].notna()]

    checked = None
    if len(with_warnings):
        checked = _number(
            "checked", len(with_warnings), "trials whose attack_warnings is not null", with_warnings
        )

    violations = None
    certified = None
    if len(with_certificates):
        violations = _number(
            "violations",
            float(with_certificates["stability_certified_violations"].sum()),
            "sum of stability_certified_violations",
            with_certificates,
        )
        certified = _number(
            "certified",
            float(with_certificates["measure_points"].sum()),
            "sum of measure_points",
            with_certificates,
        )
    broken = with_certificates[with_certificates["stability_certified_violations"].gt(0)]

    return AttackCheck(
        checked,
        _warned(with_warnings),
        violations,
        list(broken["trial_id"])[:MOST_NAMED],
        certified,
        _unbounded(trials),
    )


def _number(name: str, value: float, how: str, rows: pd.DataFrame) -> Number:
    return Number(f"attacks:{name}", value, how, tuple(rows["trial_id"]), "int")


def _warned(with_warnings: pd.DataFrame) -> list[Warned]:
    """Return one entry for each pair of warning and kind, in alphabetical order."""
    texts = with_warnings.assign(text=with_warnings["attack_warnings"].map(_sorts))
    by_sort = texts.explode("text").dropna(subset=["text"]).groupby(["text", "kind"])

    entries = []
    for (text, kind), rows in by_sort:
        how = "trials with this among attack_warnings"
        number = _number(f"{kind}:{text}", len(rows), how, rows)
        shown = _with_ranges(str(text), rows["attack_warnings"])
        entries.append(Warned(shown, str(kind), number, list(rows["trial_id"])[:MOST_NAMED]))
    return entries


def _with_ranges(sort: str, warnings: pd.Series) -> str:
    """Return a sort of warning with the range of each figure in place of its …, such as "no
    gradient at 6 to 44% of the points"."""
    texts = [str(text) for own in warnings for text in as_list(own)]
    of_sort = [text for text in texts if FIGURE.sub("…", text) == sort]
    pieces = FIGURE.split(of_sort[0])  # and not of the sort, whose text may have a … of its own
    shown = pieces[0]
    found = zip(*map(FIGURE.findall, of_sort), strict=True)
    for figures, piece in zip(found, pieces[1:], strict=True):
        ordered = sorted(figures, key=lambda figure: float(figure.replace(",", "")))
        ends = dict.fromkeys([ordered[0], ordered[-1]])
        shown += " to ".join(ends) + piece
    return shown


def _sorts(warnings: Any) -> list[str]:
    """Return a row's distinct warnings with … in place of their figures."""
    return sorted({FIGURE.sub("…", str(text)) for text in as_list(warnings)})


def _unbounded(trials: pd.DataFrame) -> list[tuple[str, Number]]:
    """Return each reason for a missing certified bound, with the number of its trials."""
    noted = trials[trials["lip_upper_note"].notna()]
    return [
        (
            str(note),
            _number(f"unbounded:{note}", len(rows), "trials with this lip_upper_note", rows),
        )
        for note, rows in noted.groupby("lip_upper_note")
    ]
