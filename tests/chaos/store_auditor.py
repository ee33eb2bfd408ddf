"""What holds for a store whatever happens to its runs, checked from outside."""

import hashlib
import io
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from harness.store.latest import latest
from harness.store.store import Store
from tests.nodes import end

UNILAW = str(Path(sysconfig.get_path("scripts")) / "unilaw")


class Result(NamedTuple):
    """The outcome of a scenario."""

    name: str
    did: dict[str, int]
    """What was done to a store's runs, and how often."""
    found: dict[str, Any]
    """What the store holds afterwards."""
    failures: list[str]
    """Each broken promise as a sentence."""


class StoreAuditor:
    """Watches one store."""

    def __init__(self, store: Path | str):
        self.store = store
        self.committed: dict[str, str] = {}
        """The row files seen so far and their digests. None may ever vanish or change."""
        self.failures: list[str] = []
        """What went wrong, as sentences; empty when all is well."""

    def names(self) -> list[str]:
        """Return the path of every file of the store, relative to the store."""
        return [
            path.relative_to(self.store).as_posix()
            for path in Path(self.store).rglob("*")
            if path.is_file()
        ]

    def content(self, name: str) -> bytes:
        """Return the content of one of the store's files."""
        return (Path(self.store) / name).read_bytes()

    def row_files(self) -> set[str]:
        """Return the names of the files that hold rows."""
        return {name for name in self.names() if name.startswith("part-")}

    def look(self, after: str) -> None:
        """Compare the row files with those seen before."""
        digests = {
            name: hashlib.sha256(self.content(name)).hexdigest() for name in self.row_files()
        }
        for name, digest in sorted(self.committed.items()):
            if name not in digests:
                self.failures.append(f"{name} is gone after {after}")
            elif digests[name] != digest:
                self.failures.append(f"{name} has changed after {after}")
        self.committed |= digests

    def conclude(
        self,
        asked: Iterable[str],
        failed: Mapping[str, int],
        gone_wrong: Iterable[str] = (),
        twice: int = 0,
    ) -> pd.DataFrame:
        """Check the store at the end of a scenario and return the rows of all attempts.

        Every trial asked for must be ok in the end, and no file torn, empty or left behind.
        `failed` is how many rows of failed attempts there may be, by kind of failure. `gone_wrong`
        are further trials, which must not be ok. `twice` is how many trials may have been done more
        than once.
        """
        self.look("the end")
        rows, problems = Store.open(self.store).read()
        self.failures += problems
        self._check_trials(rows, good=set(asked), bad=set(gone_wrong), twice=twice)
        self._check_failed_attempts(rows, failed)
        self._check_files()
        return rows

    def _check_trials(self, rows: pd.DataFrame, good: set[str], bad: set[str], twice: int) -> None:
        newest = latest(rows)
        ok = rows[rows["status"] == "ok"]
        repeated = ok.loc[ok["trial_id"].duplicated(), "trial_id"].tolist()

        if lacking := good - set(ok["trial_id"]):
            self.failures.append(
                f"{len(lacking)} of {len(good)} trials have no ok row: {sorted(lacking)[:5]}"
            )
        if set(newest["trial_id"]) != good | bad or bad & set(ok["trial_id"]):
            self.failures.append(
                "the store has rows of trials that nobody asked for, or lacks some, or has ok rows"
                " of trials that go wrong"
            )
        if newest["trial_id"].duplicated().any():
            self.failures.append("the latest view shows a trial more than once")
        if len(repeated) > twice:
            self.failures.append(f"done twice: {repeated}")

    def _check_failed_attempts(self, rows: pd.DataFrame, allowed: Mapping[str, int]) -> None:
        kinds = Counter(rows.loc[rows["status"] == "failed", "failure_kind"])
        for kind, n in kinds.items():
            n_allowed = allowed.get(str(kind), 0)
            if n > n_allowed:
                message = rows.loc[rows["failure_kind"] == kind, "failure_message"].iloc[0]
                self.failures.append(
                    f"{n} attempts failed as {kind}, {n_allowed} could have: {message}"
                )

    def _check_files(self) -> None:
        names = self.names()
        set_aside = [name for name in names if name.startswith("_set_aside/")]
        checkpoints = [name for name in names if name.startswith("_checkpoints/")]
        empty = [
            name
            for name in self.row_files()
            if not pq.read_metadata(io.BytesIO(self.content(name))).num_rows
        ]

        self.failures += [f"{name} was set aside" for name in set_aside]
        if empty:
            self.failures.append(f"row files without rows: {empty}")
        if checkpoints:
            self.failures.append(f"checkpoints left behind: {checkpoints}")

    def counts(self, rows: pd.DataFrame) -> dict[str, Any]:
        """Return what the store holds, for a table."""
        newest = latest(rows)
        failed_rows = Counter(rows.loc[rows["status"] == "failed", "failure_kind"])
        attempts = Counter(newest["attempt"].tolist())
        return {
            "trials": len(newest),
            "ok": int(newest["status"].eq("ok").sum()),
            "failed_rows": dict(sorted(failed_rows.items())),
            "attempts": dict(sorted(attempts.items())),
            "row_files": len(self.committed),
            "temporaries_left": sum("_tmp-" in name for name in self.names()),
        }


class Runs:
    """The `unilaw` command in a folder, again and again. Each run has a session of its own, and its
    output is kept."""

    def __init__(self, folder: Path, environment: dict[str, str] | None):
        self.folder = folder
        self.environment = environment
        self.started: dict[subprocess.Popen[bytes], Path] = {}

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        """Start the command in the background."""
        number = len(list(self.folder.glob("run-*.txt")))
        log = self.folder / f"run-{number}.txt"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [UNILAW, *map(str, arguments)],
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started[process] = log
        return process

    def output(self, process: subprocess.Popen[bytes]) -> str:
        """Return the end of what a run has written to stdout and stderr."""
        return self.started[process].read_text(errors="replace")[-1500:]

    def end(self) -> None:
        """Kill whatever is left of the runs."""
        for process in self.started:
            end(process.pid)
            process.wait()
