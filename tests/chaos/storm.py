"""Kill a run at random moments, in three ways, and run the same command again until nothing is left
to do.

`driver` kills the command's own process, while Ray and its workers still live. `worker` kills one
process that is busy with a batch; the run goes on. `everything` kills the driver, Ray and all
workers at once. If a sweep ends before all kills are spent, another one with further seeds goes on
in the same store.
"""

import contextlib
import random
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import load_sweep
from tests import SOAK_TASK
from tests.chaos.store_auditor import Result, Runs, StoreAuditor
from tests.nodes import busy, end, kill

KINDS = ("driver", "worker", "everything")

ATTEMPTS = 20
"""Enough that no trial is given up, however often its worker is killed."""

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


class Storm:
    """Runs into one store that are killed again and again.

    A kill comes up to `pause` seconds after a new row file. The share `anywhere` of the kills does
    not wait for one.
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
        self.folder = folder
        self.seeds = seeds
        self.marathons = list(marathons)
        self.epochs = epochs
        self.draw = draw
        self.anywhere = anywhere
        self.pause = pause
        self.runs = Runs(folder, environment)
        self.auditor = StoreAuditor(folder / "rows")
        self.rounds = 0
        self.starts = 0
        self.kills: Counter[str] = Counter()

    def break_loose(self, kills: Sequence[str]) -> Result:
        """Kill in these ways, run to the end, and count what is there. No process outlives the
        call."""
        pending = list(kills)
        try:
            while (pending or not self.rounds) and not self.auditor.failures:
                self._next_sweep()
                process = self._start()
                while not self._ends(process, pending):
                    process = self._start()
            return self._result()
        finally:
            self.runs.end()

    def _next_sweep(self) -> None:
        """Write a sweep with seeds that no sweep before had."""
        first = self.rounds * self.seeds
        text = SWEEP.format(
            round=self.rounds,
            first=first,
            last=first + self.seeds,
            attempts=ATTEMPTS,
            epochs=self.epochs,
            marathons=self.marathons,
        )
        (self.folder / f"chaos-{self.rounds}.yaml").write_text(text)
        self.rounds += 1

    def _start(self) -> subprocess.Popen[bytes]:
        """The same command every time."""
        self.starts += 1
        return self.runs.start(
            "run", f"chaos-{self.rounds - 1}.yaml", "--task-file", SOAK_TASK, "--store", "rows"
        )

    def _ends(self, process: subprocess.Popen[bytes], pending: list[str]) -> bool:
        """Kill what `pending` names. Return False once the driver is dead, True if the run is over
        by itself."""
        while pending:
            kind = pending[0]
            self._wait_for_the_moment(process, kind)
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
                end(process.pid)
            pending.pop(0)
            self.kills[kind] += 1

            driver_is_dead = kind != "worker"
            if driver_is_dead:
                process.wait()
            self.auditor.look(f"kill {self.kills.total()} ({kind})")
            if driver_is_dead:
                return False

        if process.wait() != 0:
            self.auditor.failures.append(
                f"run {self.starts} ended with {process.returncode}: {self.runs.output(process)}"
            )
        self.auditor.look(f"run {self.starts}")
        return True

    def _wait_for_the_moment(self, process: subprocess.Popen[bytes], kind: str) -> None:
        """Wait for a new row file, or not; for a busy worker, if one is to be killed; and then for
        a random time. Any wait ends with the run."""
        if self.draw.random() >= self.anywhere:  # else at any moment, Ray's start included
            while process.poll() is None and not self._new_row_files():
                time.sleep(0.05)
        while kind == "worker" and process.poll() is None and not busy(process.pid):
            time.sleep(0.05)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.draw.uniform(0, self.pause))

    def _new_row_files(self) -> set[str]:
        return self.auditor.row_files() - self.auditor.committed.keys()

    def _result(self) -> Result:
        sweeps = [
            load_sweep(str(self.folder / f"chaos-{r}.yaml"), refs_in(SOAK_TASK))
            for r in range(self.rounds)
        ]
        asked = {trial.trial_id for sweep in sweeps for trial in sweep.trials}
        # the kill of a worker costs one attempt of one trial at most
        rows = self.auditor.conclude(asked, failed={"crash": self.kills["worker"]})
        ok = rows[rows["status"] == "ok"]
        found = {
            **self.auditor.counts(rows),
            "stacked": int((ok["stack_size"] > 1).sum()),
            "went_on_from_checkpoint": int(ok["resumed_epoch"].notna().sum()),
            "runs": self.starts,
            "sweeps": self.rounds,
        }
        did = {kind: self.kills[kind] for kind in KINDS}
        return Result("storm", did, found, self.auditor.failures)
