"""The section "GPTs that learn their own embeddings": rows that meet the noise condition and lie
outside the law's input space, beside models of the same windows on a fixed random embedding."""

import json
from typing import Any, NamedTuple

import pandas as pd

from reports.evidence import Evidence
from reports.law import Fits
from reports.measures import STABILITY
from reports.numbers import Number, Sentence
from reports.sections.section import Section, fill

KEY = "own_embeddings"
OF_EMBEDDING = ("table", "d_in")
"""The fields of a configuration that say how tokens are embedded."""


class Line(NamedTuple):
    """One cell: its numbers by column, and S on the fixed embeddings of the same cell by d_in."""

    numbers: dict[str, Number]
    fixed: dict[int, Number]


class Table(NamedTuple):
    """The sizes of one setting. `widths`: the d_in of the fixed embeddings beside it."""

    settings: str
    said: Sentence
    widths: list[int]
    lines: list[Line]

    def numbers(self) -> list[Number]:
        of_lines = [
            n for line in self.lines for n in (*line.numbers.values(), *line.fixed.values())
        ]
        return [*self.said.numbers(), *of_lines]


def section(evidence: Evidence, fits: Fits) -> Section | None:
    rows = evidence.outside
    rows = rows[rows[STABILITY].notna()] if len(rows) else rows
    if rows.empty:
        return None
    fixed = _same_cells(evidence.trials)
    tables = [_table(f"{KEY}:{i}", own, fixed) for i, (_, own) in enumerate(rows.groupby("curve"))]
    html = fill("own_embeddings.html.j2", tables=tables)
    numbers = [number for table in tables for number in table.numbers()]
    return Section(KEY, "GPTs that learn their own embeddings", html, numbers)


def _same_cells(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials on fixed random embeddings, with `beside`: their configuration without that
    of the embedding, and d_in."""
    own = trials[trials["task"].eq("text") & trials[STABILITY].notna()]
    configs = [json.loads(str(text)) for text in own["config_json"]]
    return own.assign(
        beside=[_without_embedding(config) for config in configs],
        d_in=[int(config["d_in"]) for config in configs],
    )


def _without_embedding(config: dict[str, Any]) -> str:
    kept = {name: value for name, value in config.items() if name not in OF_EMBEDDING}
    return json.dumps(kept, sort_keys=True)


def _table(key: str, rows: pd.DataFrame, fixed: pd.DataFrame) -> Table:
    lines, widths = [], set()
    for p, own in rows.groupby("p"):
        beside = {_without_embedding(json.loads(str(text))) for text in own["config_json"]}
        twins = fixed[fixed["beside"].isin(beside)]
        of_fixed = {
            int(str(d_in)): _mean(f"{key}:{p}:d_in {d_in}", of_d_in)
            for d_in, of_d_in in twins.groupby("d_in")
        }
        widths |= set(of_fixed)
        lines.append(Line(_numbers(f"{key}:{p}", own), of_fixed))

    first, last = lines[0].numbers, lines[-1].numbers
    parts = {"p_first": first["p"], "p_last": last["p"], "s_first": first["S"], "s_last": last["S"]}
    text = (
        "From {p_first} to {p_last} parameters S goes from {s_first} to {s_last}."
        if len(lines) > 1
        else "One size, {p_first} parameters: S is {s_first}."
    )
    if len(lines) == 1:
        parts = {name: parts[name] for name in ("p_first", "s_first")}
    settings = json.loads(rows["settings_json"].iloc[0])
    named = {name: settings[name] for name in ("n", "context", "lr", "stop") if name in settings}
    words = ", ".join(f"{name} {value}" for name, value in named.items())
    return Table(words, Sentence(text, parts), sorted(widths), lines)


def _numbers(key: str, rows: pd.DataFrame) -> dict[str, Number]:
    trials = tuple(rows["trial_id"])

    def mean(name: str, column: str, style: str) -> Number:
        value = float(rows[column].astype(float).mean())
        return Number(f"{key}:{name}", value, f"mean {column} of the cell", trials, style)

    return {
        "p": mean("p", "p", "int"),
        "d": mean("d", "d_ambient", "int"),
        "p/(n·d)": mean("p/(n·d)", "x_law", "sig3"),
        "training error": mean("training error", "train_error", "sig3"),
        "S": _mean(f"{key}:S", rows),
        "trials": Number(f"{key}:trials", len(rows), "trials of the cell", trials, "int"),
    }


def _mean(key: str, rows: pd.DataFrame) -> Number:
    value = float(rows[STABILITY].astype(float).mean())
    return Number(key, value, f"mean {STABILITY} of the cell", tuple(rows["trial_id"]))
