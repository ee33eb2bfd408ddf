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

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from harness.errors import UserError, did_you_mean
from harness.store.location import bucket_address
from harness.sweeps.entry_cells import SEED, EntryCells
from harness.sweeps.field_values import check_values
from harness.sweeps.messages import complain, show
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.shipped import locate
from harness.sweeps.sweep_file import MAX_TRIALS, Limits, Resources, SweepFile
from harness.sweeps.trial import Trial
from harness.sweeps.yaml_lines import Document, parse_document, read_document


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

    def only(self, trial_id: str) -> "Sweep":
        """Return the sweep with the trials whose ids begin with `trial_id`; raise UserError when
        none does."""
        chosen = tuple(trial for trial in self.trials if trial.trial_id.startswith(trial_id))
        if not chosen:
            ids = [trial.trial_id for trial in self.trials]
            raise UserError(
                f"--trial {trial_id}: the sweep '{self.name}' has no such"
                f" trial{did_you_mean(trial_id, ids)}"
            )
        return replace(self, trials=chosen)


def load_sweep(sweep: str, from_file: dict[str, TaskRef] | None = None) -> Sweep:
    """Read, check and expand a sweep file. Raises UserError naming file, line, key and what is
    allowed."""
    return expand(read_document(locate(sweep)), from_file or {})


def parse_sweep(text: str, source: str, from_file: dict[str, TaskRef] | None = None) -> Sweep:
    """Check and expand a sweep file's text, as `load_sweep` does; `source` names it in messages."""
    return expand(parse_document(text, source), from_file or {})


def expand(document: Document, from_file: dict[str, TaskRef]) -> Sweep:
    """Check a document and list its trials: tasks in file order, grids in key order, seeds
    innermost."""
    file = _validate(document)
    seeds = check_values(file.seeds, SEED, ("seeds",), document)
    entries = [
        EntryCells(entry, ("tasks", i), document, from_file, seeds)
        for i, entry in enumerate(file.tasks)
    ]
    _refuse_too_many(entries, file, document)
    _refuse_more_gpus_than_one_trial_uses(entries, file, document)

    trials = [trial for cells in entries for trial in cells.trials()]
    distinct = {trial.trial_id: trial for trial in trials}
    return Sweep(
        name=file.name,
        text=document.text,
        store=_store(file),
        resources=file.resources,
        limits=file.limits,
        trials=tuple(distinct.values()),
        repeated=len(trials) - len(distinct),
        store_where=document.where(("store",)),
    )


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


def _refuse_too_many(entries: Iterable[EntryCells], file: SweepFile, document: Document) -> None:
    total = sum(cells.count * len(cells.seeds) for cells in entries)
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


def _store(file: SweepFile) -> str:
    store = file.store or f"runs/{file.name}"
    return store if bucket_address(store) else str(Path(store).expanduser())
