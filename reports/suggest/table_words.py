"""The next runs of a table, in words for a terminal and as JSON."""

import json
import math

import harness
from reports.scaling.blocks import Block, Grid, Listing, as_text
from reports.scaling.power_sums import CHINCHILLA
from reports.suggest.table_runs import Runs

FORMAT = 1
"""Version of the JSON's keys."""


def in_words(found: Runs) -> str:
    """Return the exponent, the runs and what they rest on."""
    estimate, last = found.estimate, found.runs[-1]
    stated = f"{estimate.low:.3f} to {estimate.high:.3f} by `unilaw fit`"
    with_them = "this run" if len(found.runs) == 1 else f"these {len(found.runs)} runs"
    said: list[Block] = [
        f"{found.exponent} ({estimate.symbol} of {CHINCHILLA.formula}) is {estimate.value:.3f},"
        f" 95 % {stated if estimate.method else f'interval {estimate.note}'}.",
        f"Expected half-width, by the form's gradient and residuals of {100 * found.spread:.2g} %:"
        f" ± {found.before:.3f} now, ± {last.half_width:.3f} with {with_them} of {found.flops:.3g}"
        f" FLOPs; the budget is {found.budget:.3g}.",
        Grid(
            "Next runs, the most narrowing for their FLOPs first",
            ("N", "D", "FLOPs, 6·N·D", "half-width after"),
            [
                (f"{run.N:.3g}", f"{run.D:.3g}", f"{run.flops:.3g}", f"{run.half_width:.4f}")
                for run in found.runs
            ],
        ),
        "No sweep file: unilaw cannot train a table's models. Add the runs to it and ask again.",
        f"{found.loaded.rows} rows; {found.loaded.columns}.",
    ]
    if careful := [*found.loaded.notes, *found.warnings]:
        said.append(Listing("`unilaw fit` says of the table", careful))
    return as_text(said)


def in_json(found: Runs) -> str:
    """Return the same as JSON. A value that is not finite is null."""
    loaded, estimate = found.loaded, found.estimate
    figures = {
        "format": FORMAT,
        "unilaw": harness.__version__,
        "table": loaded.table,
        "columns": {role: loaded.points.name(role) for role in (*loaded.points.inputs, "Y")},
        "rows": loaded.rows,
        "where": list(loaded.where),
        "form": CHINCHILLA.name,
        "exponent": found.exponent,
        "value": estimate.value,
        "low": estimate.low if math.isfinite(estimate.low) else None,
        "high": estimate.high if math.isfinite(estimate.high) else None,
        "residual_spread": found.spread,
        "half_width_before": found.before,
        "runs": [
            {"N": run.N, "D": run.D, "flops": run.flops, "half_width_after": run.half_width}
            for run in found.runs
        ],
        "flops": found.flops,
        "budget": found.budget,
        "sweep": None,
        "notes": [*loaded.notes, *found.warnings],
    }
    return json.dumps(figures, indent=1, ensure_ascii=False, allow_nan=False)
