"""Text for a terminal: the tables that `unilaw tasks` and `plan` print."""

import json
from collections.abc import Sequence
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from harness.planning.plan import Plan
from harness.store.schema import COLUMNS
from harness.sweeps.gpu_shares import named
from harness.sweeps.registry import TaskRef, installed, load
from harness.terminal.table import table


def listing(from_file: dict[str, TaskRef]) -> str:
    """Every task's fields (type, default, meaning) and every column (unit, kind of bound,
    meaning)."""
    parts = []
    for name, ref in sorted({**{n: TaskRef(n) for n in installed()}, **from_file}.items()):
        task = load(ref)
        fields = [
            (
                key,
                _type(f.annotation, f.metadata),
                json.dumps(f.get_default(call_default_factory=True), default=str),
                f.description or "",
            )
            for key, f in task.Config.model_fields.items()
        ]
        parts += [
            (
                f"{name} (version {task.version}):"
                f" {(task.__doc__ or 'no description').strip().splitlines()[0]}"
            ),
            table(("field", "type", "default", "meaning"), fields),
        ]
    columns = [(c.name, str(c.type).split("<")[0], c.unit, c.bound, c.meaning) for c in COLUMNS]
    parts += [
        (
            "Every task reports these columns. “is” says what a measured figure is of the quantity"
            " meant: a lower bound, an estimate or an upper bound; without a word it is the thing"
            " itself."
        ),
        table(("column", "type", "unit", "is", "meaning"), columns),
    ]
    return "\n".join(parts)


def _type(annotation: Any, metadata: Sequence[Any]) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, get_args(annotation)))
    if NoneType in get_args(annotation):
        return " | ".join(
            [*(_type(a, metadata) for a in get_args(annotation) if a is not NoneType), "null"]
        )
    if get_args(annotation):
        return str(annotation)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(m, name)}"
        for m in metadata
        for name, sign in signs.items()
        if getattr(m, name, None) is not None
    ]
    return " ".join([annotation.__name__, *bounds])


def plan_table(plan: Plan) -> str:
    """One line per cell, then the sums and how the trials are batched. "≤" marks figures at the
    cap on epochs."""
    keys = {
        task: dict.fromkeys(k for c in plan.cells if c.task == task for k in c.config)
        for task in {c.task for c in plan.cells}
    }
    varied = {
        task: [
            k
            for k in fields
            if len({str(c.config.get(k)) for c in plan.cells if c.task == task}) > 1
        ]
        for task, fields in keys.items()
    }
    rows = [
        (
            c.task,
            " ".join(f"{k}={c.config[k]}" for k in varied[c.task] if c.config.get(k) is not None),
            c.seeds,
            f"{c.p:,}",
            _or_unknown(c.tokens_distinct, ","),
            _or_unknown(c.p_over_nd, ".2e"),
            _or_unknown(c.params_per_token, ".3g"),
            f"{c.tokens_seen_at_most:,}",
            f"{c.flops_at_most:.1e}",
            f"{c.memory_bytes / 1e9:.1f} GB",
            *([named(c.gpus or 0)] if plan.batches_by_gpus else []),
        )
        for c in plan.cells
    ]
    head = (
        "task",
        "cell",
        "seeds",
        "p",
        "tokens",
        "p/(n·d)",
        "p/token",
        "≤ tokens seen",
        "≤ FLOPs",
        "memory",
    )
    if plan.batches_by_gpus:
        head = (*head, "alone on")
    repeated = f" ({plan.repeated} asked for twice run once)" if plan.repeated else ""
    apart = plan.trials - plan.stacked_trials
    shares = "".join(
        f" {count} batches with {share} each." for share, count in plan.batches_by_gpus.items()
    )
    total = (
        f"{plan.sweep}: {len(plan.cells)} cells, {plan.trials} trials{repeated}, ≤"
        f" {plan.flops_at_most:.1e} FLOPs (≤: if every trial ran to its cap on epochs).\nIn"
        f" {plan.batches} batches: {plan.stacked_trials} trials in {plan.stacks} stacks trained as"
        f" one program each, {apart} trials alone, as this machine's calibration makes"
        f" cheapest.{shares}\nForecast: {plan.trial_seconds:.0f} s of work, {plan.wall_seconds:.0f}"
        f" s with {plan.slots} batches at a time here."
    )
    return f"{table(head, rows)}\n{total}"


def _or_unknown(number: float | None, form: str) -> str:
    return "unknown" if number is None else format(number, form)
