"""Runs that are under way: a file in the store for as long as each lasts. A run that is cut off
without a word leaves its file, and the next command names it.

    with UnderWay(store.files, "small") as run:
        for batch in batches:
            run.works_on([trial.trial_id for trial in batch.trials])

The code of a trial can end the process that it shares with its run (`--inline`) from C, with exit
code 0 and no row, and nothing in that process can prevent it.
"""

import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Annotated, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from harness.errors import UserError
from harness.store.folder import DoesNotFit, Folder
from harness.store.records import SWEEP_NAME
from harness.store.whole_file import TEMPORARY
from harness.store.writer import Writer

PREFIX = "_running-"

MOST_BYTES = 1_000_000
"""Bytes of a larger file than any run writes, which may be anybody's and is not read."""

NAMED = 3
"""Trials that a sentence names; it counts the others."""


class RunUnderWay(BaseModel):
    """What a run says of itself while it lasts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sweep: Annotated[str, Field(pattern=SWEEP_NAME)] | None
    """None for `unilaw measure`."""
    began: AwareDatetime
    writer: Writer

    trials: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")], ...] = ()
    """The trials that share the run's own process now; none on Ray."""


class UnderWay:
    """A context manager that keeps a file in the store while a run is under way."""

    def __init__(self, files: Folder, sweep: str | None):
        self.files = files
        self.name = f"{PREFIX}{uuid.uuid4().hex}.json"
        self.run = RunUnderWay(sweep=sweep, began=datetime.now(UTC), writer=Writer.this())
        self.is_kept = True
        """False where it would take the last room there is, which belongs to the rows."""

    def __enter__(self) -> "UnderWay":
        self._write()
        if not self._there_is_room():
            self.is_kept = False
            self.files.delete(self.name)
        return self

    def works_on(self, trials: Iterable[str]) -> None:
        """Say which trials share this process from now on, by their ids."""
        self.run = self.run.model_copy(update={"trials": tuple(trials)})
        self._write()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(UserError):  # what made the store unwritable has been said
            self.files.delete(self.name)

    def _write(self) -> None:
        if self.is_kept:
            with suppress(DoesNotFit):
                self.files.put(self.name, self.run.model_dump_json().encode())

    def _there_is_room(self) -> bool:
        """Return whether one more small file can be written."""
        probe = f"{TEMPORARY}{uuid.uuid4().hex}"
        try:
            self.files.put(probe, b"room")
        except DoesNotFit:
            return False
        self.files.delete(probe)
        return True


class CutOff(NamedTuple):
    """A run that ended without a word."""

    file: str
    """Its name in the store."""
    run: RunUnderWay

    def __str__(self) -> str:
        what = "the `unilaw measure`"
        if self.run.sweep is not None:
            what = f"the run of '{self.run.sweep}'"
        text = (
            f"{what} that began on {self.run.began:%Y-%m-%d at %H:%M} UTC was cut off:"
            f" {self.run.writer} ended without a word, so run it again"
        )
        trials = self.run.trials
        if not trials:
            return text

        more = len(trials) - NAMED
        others = f" and {more} more" if more > 0 else ""
        return (
            f"{text}. It was at work on {', '.join(trials[:NAMED])}{others}, whose code shared its"
            " process (--inline)"
        )


def cut_off(files: Folder) -> list[CutOff]:
    """Return the runs into this store that ended without a word, on this machine. Files that no run
    writes are left out."""
    found = []
    for entry in files.entries():
        of_a_run = entry.is_file and entry.name.startswith(PREFIX)
        if not of_a_run or entry.size > MOST_BYTES:
            continue
        with suppress(FileNotFoundError, ValueError):
            run = RunUnderWay.model_validate_json(files.get(entry.name))
            if run.writer.has_ended():
                found.append(CutOff(entry.name, run))
    return found


def say_cut_off(files: Folder, sweep: str | None, say: Callable[[str], None]) -> None:
    """Tell `say` of the earlier runs of this sweep, which now goes on, that were cut off. Remove
    their files."""
    for one in cut_off(files):
        if one.run.sweep == sweep:
            say(str(one))
            files.delete(one.file)
