"""The section "Provenance": the rules, code, machines and data behind the rows, and the sweep
files."""

import pandas as pd

from reports.evidence import Evidence
from reports.law import Fits
from reports.rules import rules_sentence
from reports.sections.section import Section, fill

COLUMNS = {
    "code commit": "commit",
    "uncommitted changes": "dirty",
    "unilaw": "unilaw_version",
    "verdict rules then (none: not named)": "rules",
    "Python": "python_version",
    "torch": "torch_version",
    "Ray (none: inline)": "ray_version",
    "processor": "cpu",
    "GPU": "gpu",
    "torch threads": "threads",
    "instruments": "measures_version",
    "measured again at commit (none: measured by the trial)": "measured_commit",
    "environment": "environment_json",
    "row schema": "schema_version",
    "data (SHA-256 of tensors)": "data_hash",
}
"""Label on the page → column of the rows."""
MOST_VALUES = 8
"""Distinct values of one column that are shown."""
HASH_DIGITS = 16
"""Digits of a data hash that are shown."""


def section(evidence: Evidence, fits: Fits) -> Section:
    rules = rules_sentence(evidence.all_trials)
    html = fill(
        "provenance.html.j2",
        rules=rules,
        provenance=_provenance(evidence),
        sweeps=evidence.sweeps,
    )
    return Section("provenance", "Provenance", html, rules.numbers())


def _provenance(evidence: Evidence) -> list[tuple[str, list[str]]]:
    """Return each label with its values over all trials, failures included."""
    columns = [*COLUMNS.values(), "finished_at"]
    rows = evidence.all_trials[columns]
    if len(evidence.failures):
        rows = pd.concat([rows, evidence.failures[columns]])
    lines = [(label, _distinct(rows, column)) for label, column in COLUMNS.items()]

    stack_sizes = evidence.all_trials["stack_size"].dropna()
    if len(stack_sizes):
        stacked = (
            f"{(stack_sizes > 1).sum()} of {len(stack_sizes)} trials,"
            f" at most {stack_sizes.max():g} at a time"
        )
        lines.append(("trained in a stack with others", [stacked]))

    if len(rows):
        first = f"{rows['finished_at'].min():%Y-%m-%d %H:%M}"
        last = f"{rows['finished_at'].max():%Y-%m-%d %H:%M}"
        lines.append(("rows written", [f"{first} to {last} UTC"]))
    return lines


def _distinct(rows: pd.DataFrame, column: str) -> list[str]:
    """Return a column's distinct values in alphabetical order, at most MOST_VALUES of them."""
    if rows.empty:
        return []
    values = ["none" if pd.isna(value) else str(value) for value in rows[column].unique()]
    if column == "data_hash":
        values = [value[:HASH_DIGITS] for value in values]
    values.sort()
    if len(values) > MOST_VALUES:
        return [*values[:MOST_VALUES], f"and {len(values) - MOST_VALUES} more, in the rows"]
    return values
