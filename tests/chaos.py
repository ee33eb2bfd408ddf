"""Kill a run at random moments, in three ways, run the same command again, and look at what is left in the end.

    python -m tests.chaos [--kills 20] [--seed 0]

`driver`: the command's own process, while Ray and its workers still live. `worker`: one process that is busy with a
batch; the run goes on. `everything`: the driver, Ray and all workers at once. Should a sweep end before all kills are
spent, the next one has further seeds and the same store. Prints a table and one line of JSON; exits with 1 when
something was lost, torn, changed, left behind or done twice.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.registry import refs_in
from harness.store import Store, latest
from harness.sweep import load_sweep

MARATHON = Path(__file__).with_name("marathon.py")

KINDS = ("driver", "worker", "everything")

ATTEMPTS = 20
"""So many that no trial is given up however often its worker is killed."""

SWEEP = """
name: chaos-{round}
seeds: {{range: [{first}, {last}]}}
limits: {{attempts: {attempts}, measure_points: 64}}
tasks:
  - task: sphere
    fixed: {{stop: epochs, max_epochs: {epochs}}}
    grid: {{n: [128, 192, 256], width: [8, 16, 24, 32, 48, 64]}}
  - task: marathon
    seeds: [{first}]
    fixed: {{stop: epochs, max_epochs: {epochs}}}
    grid: {{n: {marathons}}}
"""


class Chaos:
    """Runs into one store, and what was seen of them. `failures` says what went wrong; empty when all is well.

    A kill comes up to `pause` seconds after a new row file; the share `anywhere` of them does not wait for one.
    """

    def __init__(
        self,
        folder: Path,
        seeds: int,
        marathons: Sequence[int],
        epochs: int,
        draw: random.Random,
        anywhere: float = 0.25,
        pause: float = 8,
        environment: dict[str, str] | None = None,
    ):
        self.folder, self.seeds, self.marathons, self.epochs = folder, seeds, list(marathons), epochs
        self.draw, self.anywhere, self.pause, self.environment = draw, anywhere, pause, environment
        self.rounds = self.starts = 0
        self.kills: Counter[str] = Counter()
        self.sessions: list[int] = []
        self.committed: dict[str, str] = {}
        self.failures: list[str] = []

    def storm(self, kills: Sequence[str]) -> dict[str, Any]:
        """Kill so often, run to the end, and count what is there. No process outlives the call."""
        left = list(kills)
        try:
            while (left or not self.rounds) and not self.failures:
                self._next_sweep()
                process = self._start()
                while not self._ends(process, left):
                    process = self._start()
            return self._counts()
        finally:
            for session in self.sessions:
                self._end(session)

    def _next_sweep(self) -> None:
        first = self.rounds * self.seeds
        text = SWEEP.format(
            round=self.rounds, first=first, last=first + self.seeds, attempts=ATTEMPTS, epochs=self.epochs, marathons=self.marathons
        )
        (self.folder / f"chaos-{self.rounds}.yaml").write_text(text)
        self.rounds += 1

    def _start(self) -> subprocess.Popen[bytes]:
        """The same command every time, in a session of its own, by which everything that it starts is known."""
        unilaw = str(Path(sysconfig.get_path("scripts")) / "unilaw")
        command = [unilaw, "run", f"chaos-{self.rounds - 1}.yaml", "--task-file", str(MARATHON), "--store", "rows"]
        with (self.folder / f"run-{self.starts}.txt").open("wb") as said:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.starts += 1
        self.sessions = [s for s in self.sessions if in_session(s)] + [process.pid]
        return process

    def _ends(self, process: subprocess.Popen[bytes], left: list[str]) -> bool:
        """Kill what `left` names until the driver is dead (False) or the run is over by itself (True)."""
        while left:
            kind = left[0]
            if self.draw.random() >= self.anywhere:  # else at any moment, Ray's start included
                while process.poll() is None and not self._row_files() - self.committed.keys():
                    time.sleep(0.05)
            while kind == "worker" and process.poll() is None and not busy(process.pid):
                time.sleep(0.05)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.draw.uniform(0, self.pause))
            workers = busy(process.pid)
            if process.poll() is not None:
                break
            if kind == "worker" and not workers:
                continue
            if kind == "worker":
                kill(self.draw.choice(workers))
            elif kind == "driver":
                kill(process.pid)
            else:
                self._end(process.pid)
            left.pop(0)
            self.kills[kind] += 1
            if kind != "worker":
                process.wait()
            self._look_at_row_files(f"kill {self.kills.total()} ({kind})")
            if kind != "worker":
                return False
        if process.wait() != 0:
            said = (self.folder / f"run-{self.starts - 1}.txt").read_text()
            self.failures.append(f"run {self.starts - 1} ended with {process.returncode}: {said[-500:]}")
        self._look_at_row_files(f"run {self.starts - 1}")
        return True

    def _end(self, session: int) -> None:
        """The driver first, so that it cannot write down the deaths of the others."""
        for _ in range(100):
            for pid in sorted(in_session(session), key=lambda pid: pid != session):
                kill(pid)
            if not set(in_session(session)) - {session}:  # the driver itself waits to be reaped
                return
            time.sleep(0.05)
        self.failures.append(f"processes of session {session} do not die")

    def _row_files(self) -> set[str]:
        return {path.name for path in (self.folder / "rows").glob("part-*.parquet")}

    def _look_at_row_files(self, after: str) -> None:
        found = {name: digest(self.folder / "rows" / name) for name in self._row_files()}
        self.failures += [f"{name} is gone after {after}" for name in self.committed.keys() - found.keys()]
        self.failures += [
            f"{name} has changed after {after}" for name in self.committed.keys() & found.keys() if found[name] != self.committed[name]
        ]
        self.committed |= found

    def _counts(self) -> dict[str, Any]:
        sweeps = [load_sweep(str(self.folder / f"chaos-{r}.yaml"), refs_in(MARATHON)) for r in range(self.rounds)]
        asked = {trial.trial_id for sweep in sweeps for trial in sweep.trials}
        store = Store.open(self.folder / "rows")
        rows, torn = store.read()
        torn += [str(path) for path in (store.folder / "_set_aside").glob("*")]
        newest = latest(rows)
        ok, failed = rows[rows["status"] == "ok"], rows[rows["status"] == "failed"]
        checkpoints = [path.name for path in (store.folder / "_checkpoints").iterdir()]
        if torn:
            self.failures.append(f"torn or foreign: {torn}")
        if set(newest["trial_id"]) != asked or set(newest["status"]) != {"ok"}:
            self.failures.append(f"{len(asked - set(ok['trial_id']))} of {len(asked)} trials have no ok row")
        if ok["trial_id"].duplicated().any():
            self.failures.append(f"done twice: {ok.loc[ok['trial_id'].duplicated(), 'trial_id'].tolist()}")
        kinds = dict(Counter(failed["failure_kind"]))
        if set(kinds) - {"crash"} or len(failed) > self.kills["worker"]:  # a kill costs one attempt of one trial at most
            self.failures.append(f"{self.kills['worker']} workers were killed, and the failed attempts are {kinds}")
        empty = len(self.committed) - len(parts_with_rows(store.folder))
        if empty:
            self.failures.append(f"{empty} row files without rows")
        if checkpoints:
            self.failures.append(f"checkpoints left behind: {checkpoints}")
        return {
            "kills": {kind: self.kills[kind] for kind in KINDS},
            "runs": self.starts,
            "rounds": self.rounds,
            "trials": len(asked),
            "ok": len(newest[newest["status"] == "ok"]),
            "stacked": int((ok["stack_size"] > 1).sum()),
            "went_on_from_checkpoint": int(ok["resumed_epoch"].notna().sum()),
            "row_files": len(self.committed),
            "row_files_without_rows": empty,
            "failed_rows": len(failed),
            "attempts": dict(sorted(Counter(newest["attempt"].tolist()).items())),
            "torn": len(torn),
            "checkpoints_left": len(checkpoints),
            "temporaries_left": sum(1 for _ in store.folder.rglob("_tmp-*")),
            "failures": self.failures,
        }


def in_session(session: int) -> list[int]:
    """Ids of the processes of a session: the command, Ray, and Ray's workers."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError):  # it ended while we looked
            state, *numbers = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else ("Z",)
            if state != "Z" and int(numbers[2]) == session:
                found.append(int(entry.name))
    return found


def busy(session: int) -> list[int]:
    """Ids of the workers that are at a batch now; Ray names a worker after what it runs."""
    found = []
    for pid in in_session(session):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_text().startswith("ray::unilaw-batch"):
                found.append(pid)
    return found


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def parts_with_rows(folder: Path) -> list[Path]:
    import pyarrow.parquet as pq

    return [path for path in folder.glob("part-*.parquet") if pq.read_metadata(path).num_rows]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    kills = [draw.choice(KINDS) for _ in range(asked.kills)]
    clock = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="unilaw-chaos-") as folder:
        counts = Chaos(Path(folder), seeds=3, marathons=range(512, 896, 64), epochs=1200, draw=draw).storm(kills)
    counts["seconds"] = round(time.perf_counter() - clock)
    for name, value in counts.items():
        print(f"{name:<24} {value}")
    print(json.dumps(counts))
    return 1 if counts["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
