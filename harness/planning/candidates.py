"""What configurations that no sweep file names yet would cost, and a sweep file of some of them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from harness.errors import UserError
from harness.planning.costs import Calibration
from harness.planning.plan import Cell, cost_cells
from harness.planning.schedule import batches
from harness.sweeps.messages import show
from harness.sweeps.registry import TaskRef, find, load
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import canonical_json
from harness.task import Config

SOURCE = "the suggested sweep"
"""Names the text in messages."""


class Candidate(NamedTuple):
    """A configuration that its task allows, with its cost. seconds: of all its seeds together, in
    the stacks that `run` would train them in."""

    cell: Cell
    seconds: float

    @property
    def flops(self) -> float:
        """Return the most that all its seeds take."""
        return self.cell.flops_at_most * self.cell.seeds


def allowed(
    task: str, config: Mapping[str, Any], from_file: dict[str, TaskRef], read_sources: bool
) -> dict[str, Any] | None:
    """Return the fields that differ from their defaults, or None where the task refuses the
    configuration.

    Raise UserError for a configuration that names files, or data of the Hub, unless `read_sources`:
    anybody may have written the rows that it comes from.
    """
    ref = find(task, from_file)
    try:
        checked: Config = load(ref).Config.model_validate(dict(config))
    except ValidationError:
        return None
    sources = load(ref).reads(checked)
    if sources and not read_sources:
        raise UserError(
            f"the rows of task '{task}' name {show(sources[0])}, which a choice would read; add"
            " --read-sources if you trust who wrote the store"
        )
    try:
        load(ref).fingerprint(checked)
    except UserError:  # as a source that has fewer samples than n
        return None
    return checked.model_dump(mode="json", exclude_defaults=True)


def costs(
    task: str,
    fields: Sequence[dict[str, Any]],
    seeds: Sequence[int],
    limits: Mapping[str, Any],
    calibration: Calibration,
    from_file: dict[str, TaskRef],
) -> list[Candidate | None]:
    """Return the cost of each configuration, None for one that cannot be counted: its model cannot
    be built without its data. fields: as `allowed` returned them."""
    found = []
    for own in fields:
        text = sweep_text("candidate", task, [own], seeds, limits, {})
        sweep = parse_sweep(text, SOURCE, from_file)
        cells = cost_cells(sweep).cells
        if not cells:
            found.append(None)
            continue
        planned = batches(sweep, sweep.trials, calibration)
        found.append(Candidate(cells[0], sum(batch.seconds for batch in planned)))
    return found


def sweep_text(
    name: str,
    task: str,
    fields: Sequence[dict[str, Any]],
    seeds: Sequence[int],
    limits: Mapping[str, Any],
    resources: Mapping[str, Any],
    grid: str = "",
) -> str:
    """Return the text of a sweep file for these configurations. Those that differ only in the field
    `grid` share one entry."""
    head: dict[str, Any] = {"name": name, "seeds": list(seeds)}
    if resources:
        head["resources"] = dict(resources)
    if limits:
        head["limits"] = dict(limits)

    entries: dict[str, dict[str, Any]] = {}
    for own in fields:
        fixed = {name: value for name, value in own.items() if name != grid}
        entry = entries.setdefault(canonical_json(fixed), {"task": task, "fixed": fixed})
        if grid in own:
            entry.setdefault("grid", {grid: []})[grid].append(own[grid])
    lines = ["  - " + _on_one_line(entry) for entry in entries.values()]
    return f"{yaml.safe_dump(head, sort_keys=False)}tasks:\n{''.join(lines)}"


def _on_one_line(entry: dict[str, Any]) -> str:
    for values in entry.get("grid", {}).values():
        values.sort()
    return yaml.safe_dump(
        entry, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True
    )
