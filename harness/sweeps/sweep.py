"""A sweep file, validated whole before anything starts, and the trials it asks for.

name: my-sweep
seeds: [0, 1]
tasks:
  - task: sphere
    fixed: {n: 256, d: 16}
    grid:
      width: {geomspace: [4, 1024, 9]}    # start, stop (included), count
      depth: [1, 2]
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from harness.errors import UserError, did_you_mean
from harness.store.location import bucket_address
from harness.sweeps.bounds import MAX_TRIALS
from harness.sweeps.entry_cells import SEED, EntryCells
from harness.sweeps.field_values import check_values
from harness.sweeps.messages import complain, show
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.shipped import locate
from harness.sweeps.sweep_file import Limits, Resources, SweepFile
from harness.sweeps.trial import Trial
from harness.sweeps.user_paths import user_path
from harness.sweeps.yaml_lines import Document, parse_document, read_document

MANY_TRIALS = 30_000
"""A sweep of as many trials takes so long to list and plan that it is said beforehand."""

TRIAL_S = 3e-4
"""Seconds that one trial takes to be listed and planned, where many share a size of model."""

TRIAL_BYTES = 8000
"""Bytes that one trial takes in memory meanwhile."""


@dataclass(frozen=True)
class Sweep:
    """A validated sweep. `trials` are distinct; `repeated` counts cells that were asked for more
    than once."""

    name: str
    text: str
    store: str
    """A folder's path or a bucket's address."""
    resources: Resources
    limits: Limits
    trials: tuple[Trial, ...]
    repeated: int
    store_where: str
    """file:line at which `store` is given, for messages."""
    description: str = ""
    """What the file says about itself, on one line."""

    def only(self, beginning: str) -> "Sweep":
        """Return the sweep with the one trial whose id begins so; raise UserError unless there is
        exactly one."""
        chosen = tuple(trial for trial in self.trials if trial.trial_id.startswith(beginning))
        if len(chosen) == 1:
            return replace(self, trials=chosen)

        if chosen:
            some = ", ".join(trial.trial_id for trial in chosen[:3])
            raise UserError(
                f"--trial '{beginning}': {len(chosen)} trials of the sweep '{self.name}' begin so"
                f" ({some}{', …' if len(chosen) > 3 else ''}); give more of the id"
            )
        hint = did_you_mean(beginning, [trial.trial_id for trial in self.trials])
        raise UserError(f"--trial {beginning}: the sweep '{self.name}' has no such trial{hint}")


def load_sweep(
    sweep: str,
    from_file: dict[str, TaskRef] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Sweep:
    """Read, check and expand a sweep file; `say` is told beforehand of a sweep that takes long.

    Raises UserError naming file, line, key and what is allowed.
    """
    return expand(read_document(locate(sweep)), from_file or {}, say)


def parse_sweep(text: str, source: str, from_file: dict[str, TaskRef] | None = None) -> Sweep:
    """Check and expand a sweep file's text, as `load_sweep` does; `source` names it in messages."""
    return expand(parse_document(text, source), from_file or {}, lambda line: None)


def expand(document: Document, from_file: dict[str, TaskRef], say: Callable[[str], None]) -> Sweep:
    """Check a document and list its trials: tasks in file order, grids in key order, seeds
    innermost."""
    file, entries = entries_of(document, from_file)
    total = sum(cells.count * len(cells.seeds) for cells in entries)
    if total >= MANY_TRIALS:
        say(
            f"{total:,} trials: to list and plan them takes at least"
            f" {total * TRIAL_S / 60:.1f} minutes and {total * TRIAL_BYTES / 1e9:.1f} GB"
        )
    _refuse_more_gpus_than_one_trial_uses(entries, file, document)

    trials = [trial for cells in entries for trial in cells.trials()]
    distinct = {trial.trial_id: trial for trial in trials}
    return Sweep(
        name=file.name,
        text=document.text,
        store=_store(file, document),
        resources=file.resources,
        limits=file.limits,
        trials=tuple(distinct.values()),
        repeated=len(trials) - len(distinct),
        store_where=document.where(("store",)),
        description=" ".join(file.description.split()),
    )


def entries_of(
    document: Document, from_file: dict[str, TaskRef]
) -> tuple[SweepFile, list[EntryCells]]:
    """Check a document without making its trials, which reads their data. Return the file's keys
    and the cells of each entry."""
    file = _validate(document)
    seeds = check_values(file.seeds, SEED, ("seeds",), document)
    entries = [
        EntryCells(entry, ("tasks", i), document, from_file, seeds)
        for i, entry in enumerate(file.tasks)
    ]
    total = sum(cells.count * len(cells.seeds) for cells in entries)
    _refuse_too_many(total, file, document)
    return file, entries


def _validate(document: Document) -> SweepFile:
    if not isinstance(document.value, dict):
        raise UserError(
            f"{document.source}:1: a sweep file is a mapping with name, seeds and tasks, not"
            f" {show(document.value)}"
        )
    try:
        return SweepFile.model_validate(document.value)
    except ValidationError as e:
        raise complain(e, document, SweepFile) from None


def _refuse_too_many(total: int, file: SweepFile, document: Document) -> None:
    if total > file.limits.trials:
        raise UserError(
            f"{document.where(('tasks',))}: the cross product is {total} trials and limits.trials"
            f" is {file.limits.trials}; narrow the grid, or raise limits.trials (at most"
            f" {MAX_TRIALS})"
        )


def _refuse_more_gpus_than_one_trial_uses(
    entries: Iterable[EntryCells], file: SweepFile, document: Document
) -> None:
    gpus = file.resources.gpus
    if gpus == "auto" or gpus <= 1:
        return

    for cells in entries:
        most = load(cells.ref).max_gpus
        if gpus > most:
            raise UserError(
                f"{document.where(('resources', 'gpus'))}: 'resources.gpus' is {gpus:g}, and a"
                f" trial of the task '{cells.ref.name}' uses at most {most:g}; only language models"
                " train on several"
            )


def _store(file: SweepFile, document: Document) -> str:
    store = file.store or f"runs/{file.name}"
    if bucket_address(store):
        return store
    try:
        return str(Path(user_path(store)))
    except UserError as e:
        raise UserError(f"{document.where(('store',))}: {e}") from None
