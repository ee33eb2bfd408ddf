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
    """What was done to a store's runs, what the store holds after them, and each broken promise
    as a sentence."""

    name: str
    did: dict[str, int]
    found: dict[str, Any]
    failures: list[str]


class StoreAuditor:
    """One store, watched. `failures` says what went wrong; empty when all is well.

    `committed`: the row files seen so far and their digests. None may ever vanish or change.
    """

    def __init__(self, store: Path | str):
        self.store = store
        self.committed: dict[str, str] = {}
        self.failures: list[str] = []

    def names(self) -> list[str]:
        """Every file of the store, relative to it."""
        return [
            path.relative_to(self.store).as_posix()
            for path in Path(self.store).rglob("*")
            if path.is_file()
        ]

    def content(self, name: str) -> bytes:
        """Of one of them."""
        return (Path(self.store) / name).read_bytes()

    def row_files(self) -> set[str]:
        """Their names."""
        return {name for name in self.names() if name.startswith("part-")}

    def look(self, after: str) -> None:
        """Compare the row files with those seen before."""
        found = {name: hashlib.sha256(self.content(name)).hexdigest() for name in self.row_files()}
        self.failures += [
            f"{name} is gone after {after}" for name in sorted(self.committed.keys() - found.keys())
        ]
        changed = [
            name
            for name in sorted(self.committed.keys() & found.keys())
            if found[name] != self.committed[name]
        ]
        self.failures += [f"{name} has changed after {after}" for name in changed]
        self.committed |= found

    def conclude(
        self,
        asked: Iterable[str],
        failed: Mapping[str, int],
        gone_wrong: Iterable[str] = (),
        twice: int = 0,
    ) -> pd.DataFrame:
        """The rows of all attempts. Every trial asked for must be ok in the end, and no file torn,
        empty or left behind.

        `failed`: kind → how many rows of failed attempts there may be. `gone_wrong`: further
        trials, which must not be ok. `twice`: how many trials may have been done more than once.
        """
        good, bad = set(asked), set(gone_wrong)
        self.look("the end")
        rows, problems = Store.open(self.store).read()
        newest, ok = latest(rows), rows[rows["status"] == "ok"]
        names = self.names()
        problems += [f"{name} was set aside" for name in names if name.startswith("_set_aside/")]
        self.failures += problems
        if lacking := good - set(ok["trial_id"]):
            self.failures.append(
                f"{len(lacking)} of {len(good)} trials have no ok row: {sorted(lacking)[:5]}"
            )
        if set(newest["trial_id"]) != good | bad or bad & set(ok["trial_id"]):
            self.failures.append(
                "the store has rows of trials that nobody asked for, or lacks some, or has ok rows"
                " of those that go wrong"
            )
        if newest["trial_id"].duplicated().any():
            self.failures.append("the latest view shows a trial more than once")
        if ok["trial_id"].duplicated().sum() > twice:
            self.failures.append(
                f"done twice: {ok.loc[ok['trial_id'].duplicated(), 'trial_id'].tolist()}"
            )
        kinds = Counter(rows.loc[rows["status"] == "failed", "failure_kind"])
        for kind, n in kinds.items():
            if n > failed.get(str(kind), 0):
                said = rows.loc[rows["failure_kind"] == kind, "failure_message"].iloc[0]
                self.failures.append(
                    f"{n} attempts failed as {kind}, {failed.get(str(kind), 0)} could have: {said}"
                )
        empty = [
            name
            for name in self.row_files()
            if not pq.read_metadata(io.BytesIO(self.content(name))).num_rows
        ]
        if empty:
            self.failures.append(f"row files without rows: {empty}")
        if left := [name for name in names if name.startswith("_checkpoints/")]:
            self.failures.append(f"checkpoints left behind: {left}")
        return rows

    def counts(self, rows: pd.DataFrame) -> dict[str, Any]:
        """What the store holds, for a table."""
        newest = latest(rows)
        return {
            "trials": len(newest),
            "ok": int(newest["status"].eq("ok").sum()),
            "failed_rows": dict(
                sorted(Counter(rows.loc[rows["status"] == "failed", "failure_kind"]).items())
            ),
            "attempts": dict(sorted(Counter(newest["attempt"].tolist()).items())),
            "row_files": len(self.committed),
            "temporaries_left": sum("_tmp-" in name for name in self.names()),
        }


class Runs:
    """The `unilaw` command in a folder, again and again, each run in a session of its own and
    with its words kept."""

    def __init__(self, folder: Path, environment: dict[str, str] | None):
        self.folder, self.environment = folder, environment
        self.started: dict[subprocess.Popen[bytes], Path] = {}

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        """Start the command in the background."""
        log = self.folder / f"run-{sum(1 for _ in self.folder.glob('run-*.txt'))}.txt"
        with log.open("wb") as said:
            process = subprocess.Popen(
                [UNILAW, *map(str, arguments)],
                cwd=self.folder,
                env=self.environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started[process] = log
        return process

    def said(self, process: subprocess.Popen[bytes]) -> str:
        """The last that a run has written to stdout and stderr."""
        return self.started[process].read_text(errors="replace")[-1500:]

    def end(self) -> None:
        """Kill whatever of them is left."""
        for process in self.started:
            end(process.pid)
            process.wait()
