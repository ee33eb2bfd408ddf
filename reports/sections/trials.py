"""The section "All trials": the main columns of every ok row.

The first rows are plain HTML, so that the page reads without a script. All further ones stand
column by column in a block of JSON, from which a script sorts, searches and shows a hundred at a
time. A store of more than MOST_ROWS trials shows its cells instead, each with the means over its
seeds.
"""

from typing import Any

import pandas as pd
import pyarrow as pa
from markupsafe import Markup, escape

from harness.store.schema import arrow_schema
from reports.evidence import Evidence
from reports.law import Fits
from reports.ledger import in_order
from reports.measures import STABILITY
from reports.numbers import Number
from reports.sections.counts import count_trials
from reports.sections.section import Section, as_json, fill

COLUMNS = (
    "trial_id",
    "kind",
    "seed",
    "n",
    "tokens_distinct",
    "d_ambient",
    "p",
    "params_per_token",
    "x_law",
    "epochs",
    "stop_reason",
    "below_noise",
    "why_hollow",
    "train_loss",
    "train_error",
    "test_accuracy",
    "test_accuracy_se",
    "bits_per_byte",
    "ece",
    STABILITY,
    "stability_attack_censored",
    "stability_first_order_mean",
    "stability_certified_mean",
    "robust_linf",
    "robust_l2",
    "lip_lower_grad",
    "lip_lower_pairs",
    "lip_mean_jacobian",
    "lip_upper_product",
    "flops",
    "wall_s",
)
INTEGERS = {field.name for field in arrow_schema() if pa.types.is_integer(field.type)} | {"trials"}
BOOLEANS = {field.name for field in arrow_schema() if pa.types.is_boolean(field.type)}
PLAIN_ROWS = 200
"""Rows that are plain HTML where there are more than ALL_PLAIN."""
ALL_PLAIN = 300
PRINTED = {
    "trial_id",
    "store",
    "kind",
    "trials",
    "seed",
    "n",
    "d_ambient",
    "p",
    "stop_reason",
    "test_accuracy",
    STABILITY,
    "lip_lower_grad",
}
"""The columns that fit on paper."""
MOST_ROWS = 20_000
"""Trials above which the table shows cells, and lines that it has at most."""


def section(evidence: Evidence, fits: Fits) -> Section:
    counts = count_trials(evidence)
    trials = in_order(evidence.all_trials)
    of_cells = len(trials) > MOST_ROWS
    table = trials[_columns(evidence)]
    lines = counts["ok"]
    if of_cells:
        table = cell_means(trials)
        lines = Number("count:cells", len(table), "distinct cells of the ok trials", style="int")

    shown = table.iloc[:MOST_ROWS]
    plain = len(shown) if len(shown) <= ALL_PLAIN else PLAIN_ROWS
    html = fill(
        "trials.html.j2",
        counts=counts,
        lines=lines,
        columns=list(shown.columns),
        numeric=[name for name in shown.columns if _is_numeric(shown[name], name)],
        rows=_rows(shown.iloc[:plain]),
        further=as_json([_column(shown[name], name, plain) for name in shown.columns]),
        plain=plain,
        of_cells=of_cells,
        cut=len(table) > len(shown),
        most=f"{MOST_ROWS:,}",
    )
    on_paper = _style_on_paper(list(shown.columns))
    return Section("trials", "All trials", html, [*counts.values(), lines], style=on_paper)


def _style_on_paper(columns: list[str]) -> str:
    """Return the style that prints the columns that fit on paper."""
    left_out = ", ".join(
        f".trials tr > :nth-child({place})"
        for place, name in enumerate(columns, 1)
        if name not in PRINTED
    )
    return f"@media print {{ {left_out} {{ display: none; }} }}"


def _columns(evidence: Evidence) -> list[str]:
    """Return the columns of the table, the store among them where there are several."""
    several = len(evidence.stores) > 1
    return ["trial_id", "store", *COLUMNS[1:]] if several else list(COLUMNS)


def cell_means(trials: pd.DataFrame) -> pd.DataFrame:
    """Return one line for each cell, in the order of the trials: the number of its trials, the
    means of its numbers, and its texts, "several" where they differ."""
    cell = pd.factorize(trials["cell"])[0]
    table: dict[str, pd.Series] = {"trials": trials["cell"].groupby(cell).size()}
    for name in COLUMNS:
        if name in ("trial_id", "seed"):
            continue
        column = trials[name]
        if name in BOOLEANS:
            shares = column.astype("boolean").astype(float).groupby(cell).mean()
            table[name] = shares.map(_all_or_some, na_action="ignore")
        elif _is_numeric(column, name):
            table[name] = column.astype(float).groupby(cell).mean()
        else:
            own = column.groupby(cell)
            table[name] = own.first().where(own.nunique() <= 1, "several")
    return pd.DataFrame(table)


def _all_or_some(share: float) -> str:
    return {0.0: "no", 1.0: "yes"}.get(share, "some")


def _is_numeric(column: pd.Series, name: str) -> bool:
    return name not in BOOLEANS and pd.api.types.is_numeric_dtype(column)


def _rows(table: pd.DataFrame) -> list[Markup]:
    """Return rows of HTML. Each becomes HTML by itself: the pieces of all rows take many times the
    page's memory."""
    return [_row(line) for line in table.to_dict("records")]


def _row(line: dict[Any, Any]) -> Markup:
    cells = []
    for column, value in line.items():
        text = escape(cell_text(value, column in INTEGERS))
        cells.append(f"<td>{text}</td>")
    trial = f' data-trial="{escape(line["trial_id"])}"' if "trial_id" in line else ""
    return Markup(f"<tr{trial}>{''.join(cells)}</tr>")


def cell_text(value: Any, whole: bool) -> str:
    """Return a cell's text, empty for a null.

    whole: the column holds integers, which pandas widens to floats where a row has none.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value is pd.NA:
        return ""
    if isinstance(value, float):
        if pd.isna(value):
            return ""
        return f"{value:,.0f}" if whole else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _column(column: pd.Series, name: str, plain: int) -> dict[str, Any]:
    """Return the rows of a column that are not plain HTML: numbers with the four digits that are
    shown, or texts, each stored once."""
    rest = column.iloc[plain:]
    if _is_numeric(column, name):
        values = rest.astype(float).tolist()
        whole = name in INTEGERS
        return {"name": name, "whole": whole, "values": [_digits(v, whole) for v in values]}
    texts = [cell_text(value, False) for value in rest.tolist()]
    if name == "trial_id":
        return {"name": name, "texts": texts}
    codes, distinct = pd.factorize(pd.Series(texts, dtype=object))
    return {"name": name, "texts": distinct.tolist(), "codes": codes.tolist()}


def _digits(value: float, whole: bool) -> float | int | None:
    if not abs(value) < float("inf"):  # JSON knows neither NaN nor infinity
        return None
    if whole:
        return round(value)
    shown = float(f"{value:.4g}")
    return int(shown) if shown.is_integer() and abs(shown) < 1e15 else shown
