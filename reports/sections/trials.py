"""The section "All trials": the main columns of every ok row."""

from typing import Any

import pandas as pd
import pyarrow as pa
from markupsafe import Markup, escape

from harness.store.schema import arrow_schema
from reports.evidence import Evidence, records
from reports.law import Fits
from reports.measures import STABILITY
from reports.sections.counts import count_trials
from reports.sections.section import Section, fill

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
INTEGERS = {field.name for field in arrow_schema() if pa.types.is_integer(field.type)}


def section(evidence: Evidence, fits: Fits) -> Section:
    counts = count_trials(evidence)
    # each row becomes HTML by itself: the pieces of all rows take many times the page's memory
    rows = (_row(trial) for trial in records(evidence.all_trials[list(COLUMNS)]))
    html = fill("trials.html.j2", counts=counts, columns=COLUMNS, rows=rows)
    return Section("trials", "All trials", html, list(counts.values()))


def _row(trial: dict[str, Any]) -> Markup:
    cells = []
    for column in COLUMNS:
        text = escape(cell_text(trial[column], column in INTEGERS))
        cells.append(f'<td data-column="{column}">{text}</td>')
    return Markup(f'<tr data-trial="{escape(trial["trial_id"])}">{"".join(cells)}</tr>')


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
