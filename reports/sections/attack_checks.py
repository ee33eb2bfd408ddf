"""What speaks against trusting a search for label changes: the rows' own warnings, and certified
distances that it broke."""

import re
from typing import NamedTuple

import pandas as pd

from reports.evidence import Evidence
from reports.measures import as_list
from reports.numbers import Number

NAMED = 20
"""Trials named on the page; the ledger names all."""


class Warned(NamedTuple):
    """Trials of one kind with one sort of warning; `text` has … for the figures in which they
    differ."""

    text: str
    kind: str
    number: Number
    trials: list[str]


class AttackCheck(NamedTuple):
    """`checked`: trials whose search was told its warnings, or is None where no row knows of
    them. `violations`: points whose certified distance exceeds the one found, of the `certified`
    points that have both, in the trials `violators`. `unbounded`: (why there is no certified
    bound, trials)."""

    checked: Number | None
    warned: list[Warned]
    violations: Number | None
    violators: list[str]
    certified: Number | None
    unbounded: list[tuple[str, Number]]

    def numbers(self) -> list[Number]:
        single = [n for n in (self.checked, self.violations, self.certified) if n is not None]
        return [*single, *(w.number for w in self.warned), *(n for _, n in self.unbounded)]


def check_attacks(evidence: Evidence) -> AttackCheck:
    t = evidence.trials
    said = t[t["attack_warnings"].notna()]
    broken = t[t["stability_certified_violations"].notna()]
    checked = violations = certified = None
    if len(said):
        checked = Number(
            "attacks:checked",
            len(said),
            "trials whose attack_warnings is not null",
            tuple(said["trial_id"]),
            "int",
        )
    if len(broken):
        ids = tuple(broken["trial_id"])
        total = float(broken["stability_certified_violations"].sum())
        violations = Number(
            "attacks:violations", total, "sum of stability_certified_violations", ids, "int"
        )
        certified = Number(
            "attacks:certified",
            float(broken["measure_points"].sum()),
            "sum of measure_points",
            ids,
            "int",
        )
    notes = t[t["lip_upper_note"].notna()]
    unbounded = [
        (
            str(note),
            Number(
                f"attacks:unbounded:{note}",
                len(rows),
                "trials with this lip_upper_note",
                tuple(rows["trial_id"]),
                "int",
            ),
        )
        for note, rows in notes.groupby("lip_upper_note")
    ]
    violators = list(broken.loc[broken["stability_certified_violations"].gt(0), "trial_id"])
    return AttackCheck(checked, _warned(said), violations, violators[:NAMED], certified, unbounded)


def _warned(said: pd.DataFrame) -> list[Warned]:
    """One entry per sort of warning and kind, in alphabetical order."""
    one = said.assign(
        text=said["attack_warnings"].map(
            lambda w: sorted({re.sub(r"\d[\d.,]*", "…", str(s)) for s in as_list(w)})
        )
    )
    found = []
    for (text, kind), rows in one.explode("text").dropna(subset=["text"]).groupby(["text", "kind"]):
        ids = tuple(rows["trial_id"])
        how = "trials with this among attack_warnings"
        found.append(
            Warned(
                str(text),
                str(kind),
                Number(f"attacks:{kind}:{text}", len(ids), how, ids, "int"),
                list(ids[:NAMED]),
            )
        )
    return found
