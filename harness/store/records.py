"""Records that a store keeps beside its rows: the sweeps that were run into it, and the runs."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from harness.store.folder import Entry, Folder

SWEEP_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"


class SweepRecord(BaseModel):
    """A sweep that was run into a store.

    Records are validated when they are read, because the sweep's name becomes part of file names.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(pattern=SWEEP_NAME)

    text: str
    """The sweep file's text."""

    task_source: str | None
    """The text of the --task-file, if there was one."""

    trials: dict[Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")], str]
    """The task of each trial that the sweep asked for, by trial id."""

    @property
    def stem(self) -> str:
        """The name that the record's files share: stem + .json, .yaml and, with a task file,
        .py."""
        content = "\n".join([self.text, self.task_source or "", *sorted(self.trials)])
        return f"_sweeps/{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def still_asked(sweeps: Sequence[SweepRecord]) -> set[str]:
    """Return the ids of the trials that these sweeps, in order of their first run, still ask for.

    A change of a task's code, version or data gives every trial that it concerns another id, so the
    same sweep file asks for other trials from then on. A text always makes the same number of
    trials, so a record with as many as any takes the place of the older records of its text. One
    with fewer is of `--trial`, and takes no other's place.
    """
    of_text: dict[tuple[str, str], list[SweepRecord]] = {}
    for sweep in sweeps:
        of_text.setdefault((sweep.name, sweep.text), []).append(sweep)

    asked: set[str] = set()
    for records in of_text.values():
        most = max(len(record.trials) for record in records)
        newest_whole = max(k for k, record in enumerate(records) if len(record.trials) == most)
        asked.update(*(record.trials for record in records[newest_whole:]))
    return asked


class RunRecord(BaseModel):
    """A run that finished: how many trials it ran, how long they took, and the time that was
    forecast."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    sweep: str = Field(pattern=SWEEP_NAME)
    began: AwareDatetime
    inline: bool
    trials: int = Field(ge=0)
    forecast_s: float = Field(ge=0)
    seconds: float = Field(ge=0)


class SweepRecords:
    """The records of sweeps in a store's folder. A record is read once, because it never
    changes."""

    def __init__(self, folder: Folder):
        self.folder = folder
        self._known: dict[Entry, SweepRecord | str] = {}

    def read(self) -> dict[str, SweepRecord | str]:
        """Return each record, or what is wrong with it, by file name, in order of the sweeps' first
        run."""
        listed = [e for e in self.folder.entries("_sweeps") if e.name.endswith(".json")]
        for entry in listed:
            if entry not in self._known:
                self._known[entry] = self._read(entry)

        listed.sort(key=lambda entry: (entry.modified, entry.name))
        return {entry.name: self._known[entry] for entry in listed}

    def _read(self, entry: Entry) -> SweepRecord | str:
        if not entry.is_file:
            return "is no file but a folder, or a link that leads out or nowhere"
        try:
            return SweepRecord.model_validate_json(self.folder.get(f"_sweeps/{entry.name}"))
        except (FileNotFoundError, ValueError) as e:
            return f"cannot be read as a sweep's record ({type(e).__name__})"


def read_runs(folder: Folder) -> list[RunRecord]:
    """Return the records of finished runs, oldest first. Unreadable ones are left out."""
    records = []
    for name in folder.matching("_runs", "*.json"):
        with suppress(FileNotFoundError, ValueError):
            records.append(RunRecord.model_validate_json(folder.get(name)))
    return sorted(records, key=lambda record: record.began)
