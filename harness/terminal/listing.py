"""Write the tables that `unilaw tasks` and `unilaw plan` print."""

import json
from collections.abc import Sequence
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from harness.planning.plan import Cell, Plan
from harness.planning.times import RAY_START_S
from harness.store.schema import COLUMNS
from harness.sweeps.gpu_shares import named
from harness.sweeps.installed import installed
from harness.sweeps.registry import TaskRef, find, load
from harness.terminal.counts import counted
from harness.terminal.pace import in_words
from harness.terminal.table import table

SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
"""Pydantic's name of a bound → its sign."""

MANY_CELLS = 300
"""More cells than these are more than a reader looks through, and take minutes to print."""

SHOWN_CELLS = 10
"""Cells that are printed of each end of a large plan."""


class FieldEntry(NamedTuple):
    """One field of a task's configuration."""

    name: str
    type: str
    default: str
    """As JSON."""
    meaning: str


class TaskEntry(NamedTuple):
    """One task that can be swept."""

    name: str
    version: int
    description: str
    fields: list[FieldEntry]


def task_entries(from_file: dict[str, TaskRef], only: str | None = None) -> list[TaskEntry]:
    """Return every task, or the one that is called `only`, by name.

    Raises UserError, with the nearest name, for an unknown one.
    """
    refs = {**{name: TaskRef(name) for name in installed()}, **from_file}
    if only is not None:
        refs = {only: find(only, from_file)}
    return [_task_entry(name, ref) for name, ref in sorted(refs.items())]


def _task_entry(name: str, ref: TaskRef) -> TaskEntry:
    task = load(ref)
    fields = []
    for key, field in task.Config.model_fields.items():
        default = json.dumps(field.get_default(call_default_factory=True), default=str)
        field_type = _type(field.annotation, field.metadata)
        fields.append(FieldEntry(key, field_type, default, field.description or ""))
    description = (task.__doc__ or "no description").strip().splitlines()[0]
    return TaskEntry(name, task.version, description, fields)


def listing(tasks: Sequence[TaskEntry], with_columns: bool = True) -> str:
    """Return the tasks' fields (type, default, meaning), and every column (unit, kind of bound,
    meaning)."""
    parts = []
    for task in tasks:
        parts.append(f"{task.name} (version {task.version}): {task.description}")
        parts.append(table(("field", "type", "default", "meaning"), task.fields))
    if with_columns:
        parts.append(
            "Every task reports these columns. “is” says whether a figure is a lower bound, an"
            " estimate or an upper bound of the quantity; where “is” is empty, the figure is"
            " the quantity itself."
        )
        columns = [tuple(column.values()) for column in _columns()]
        parts.append(table(("column", "type", "unit", "is", "meaning"), columns))
    return "\n".join(parts)


def listing_as_json(tasks: Sequence[TaskEntry]) -> dict[str, Any]:
    """Return the same as plain values. A field's default is the value itself."""
    entries = []
    for task in tasks:
        fields = [{**f._asdict(), "default": json.loads(f.default)} for f in task.fields]
        entries.append({**task._asdict(), "fields": fields})
    return {"tasks": entries, "columns": _columns()}


def _columns() -> list[dict[str, str]]:
    return [
        {
            "name": column.name,
            "type": str(column.type).split("<")[0],
            "unit": column.unit,
            "is": column.bound,
            "meaning": column.meaning,
        }
        for column in COLUMNS
    ]


def _type(annotation: Any, metadata: Sequence[Any]) -> str:
    """Return a field's type with its bounds, as `int ≥ 1 ≤ 20` or `fgsm | pgd | null`."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, arguments))
    if NoneType in arguments:
        others = [_type(a, metadata) for a in arguments if a is not NoneType]
        return " | ".join([*others, "null"])
    if arguments:
        return str(annotation)

    bounds = []
    for constraint in metadata:
        for name, sign in SIGNS.items():
            bound = getattr(constraint, name, None)
            if bound is not None:
                bounds.append(f"{sign} {bound}")
    return " ".join([annotation.__name__, *bounds])


def plan_table(plan: Plan, every_cell: bool = False) -> str:
    """Return one line per cell, then the sums and how the trials are batched. "≤" marks figures at
    the cap on epochs.

    Of more than MANY_CELLS cells the cheapest and the dearest are shown, unless `every_cell` is
    asked for.
    """
    cells = plan.cells
    left_out = ""
    if len(cells) > MANY_CELLS and not every_cell:
        cells = sorted(cells, key=lambda cell: (cell.flops_at_most, cell.p))
        cells = [*cells[:SHOWN_CELLS], *cells[-SHOWN_CELLS:]]
        left_out = (
            f"These are the {SHOWN_CELLS} cells with the fewest FLOPs and the {SHOWN_CELLS} with"
            f" the most, of {len(plan.cells):,}; --all prints every one.\n"
        )

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
    varied = {task: _varied_fields(plan, task) for task in {c.task for c in cells}}
    rows = [_cell_row(cell, varied[cell.task]) for cell in cells]
    if plan.batches_by_gpus:
        head = (*head, "alone on")
        rows = [(*row, named(cell.gpus or 0)) for row, cell in zip(rows, cells, strict=True)]
    return f"{table(head, rows)}\n{left_out}{_sums(plan)}"


def _varied_fields(plan: Plan, task: str) -> list[str]:
    """Return the fields in which the task's cells differ."""
    configs = [cell.config for cell in plan.cells if cell.task == task]
    fields = dict.fromkeys(field for config in configs for field in config)
    return [field for field in fields if len({str(config.get(field)) for config in configs}) > 1]


def _cell_row(cell: Cell, varied: Sequence[str]) -> tuple[Any, ...]:
    values = [f"{k}={cell.config[k]}" for k in varied if cell.config.get(k) is not None]
    return (
        cell.task,
        " ".join(values),
        cell.seeds,
        f"{cell.p:,}",
        _or_unknown(cell.tokens_distinct, ","),
        _or_unknown(cell.p_over_nd, ".2e"),
        _or_unknown(cell.params_per_token, ".3g"),
        f"{cell.tokens_seen_at_most:,}",
        f"{cell.flops_at_most:.1e}",
        f"{cell.memory_bytes / 1e9:.1f} GB",
    )


def _sums(plan: Plan) -> str:
    repeated = f" ({plan.repeated} asked for twice run once)" if plan.repeated else ""
    apart = plan.trials - plan.stacked_trials
    shares = "".join(
        f" {counted(count, 'batch', 'batches')} with {share} each."
        for share, count in plan.batches_by_gpus.items()
    )
    largest = f", the largest of {plan.largest_stack}" if plan.stacks > 1 else ""
    ways = []
    if plan.stacked_trials:
        stacks = counted(plan.stacks, "stack", "stacks")
        ways.append(
            f"{plan.stacked_trials} trials in {stacks} trained as one program each{largest}"
        )
    if apart:
        ways.append(f"{counted(apart, 'trial', 'trials')} alone")
    batches = counted(plan.batches, "batch", "batches")
    at_a_time = counted(min(plan.slots, plan.batches), "batch", "batches")
    gpu_use = f"\n{plan.gpu_use}" if plan.gpu_use else ""
    here = "" if plan.gpu_use else " here"
    about = f"\nThe sweep says: {plan.description}" if plan.description else ""
    return (
        f"{plan.sweep}: {counted(len(plan.cells), 'cell', 'cells')},"
        f" {counted(plan.trials, 'trial', 'trials')}{repeated}, ≤ {plan.flops_at_most:.1e} FLOPs"
        " (≤: if every trial ran to its cap on epochs).\n"
        f"In {batches}: {', '.join(ways)}, as the calibration makes cheapest.{shares}{gpu_use}\n"
        f"Forecast: {plan.trial_seconds:.0f} s of work, {plan.wall_seconds:.0f} s with {at_a_time}"
        f" at a time{here}, after about {RAY_START_S:.0f} s in which Ray starts.\n"
        f"The longest batch takes {in_words(plan.longest_batch_seconds)}, the most that a lost"
        f" worker costs; on any cluster at most {plan.batches} run at a time.{about}"
    )


def _or_unknown(number: float | None, form: str) -> str:
    return "unknown" if number is None else format(number, form)
