"""Kill a run at random moments, in three ways, and run the same command again until nothing is left
to do.

`driver`: the command's own process, while Ray and its workers still live. `worker`: one process
that is busy with a batch; the run goes on. `everything`: the driver, Ray and all workers at once.
Should a sweep end before all kills are spent, the next one has further seeds and the same store.
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


class Storm:
    """Runs into one store, killed again and again.

    A kill comes up to `pause` seconds after a new row file; the share `anywhere` of them does not
    wait for one.
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
        self.folder, self.seeds, self.marathons, self.epochs = (
            folder,
            seeds,
            list(marathons),
            epochs,
        )
        self.draw, self.anywhere, self.pause = draw, anywhere, pause
        self.runs, self.witness = Runs(folder, environment), StoreAuditor(folder / "rows")
        self.rounds = self.starts = 0
        self.kills: Counter[str] = Counter()

    def break_loose(self, kills: Sequence[str]) -> Result:
        """Kill so often, run to the end, and count what is there. No process outlives the call."""
        left = list(kills)
        try:
            while (left or not self.rounds) and not self.witness.failures:
                self._next_sweep()
                process = self._start()
                while not self._ends(process, left):
                    process = self._start()
            return self._result()
        finally:
            self.runs.end()

    def _next_sweep(self) -> None:
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

    def _ends(self, process: subprocess.Popen[bytes], left: list[str]) -> bool:
        """Kill what `left` names until the driver is dead (False) or the run is over by itself
        (True)."""
        while left:
            kind = left[0]
            if self.draw.random() >= self.anywhere:  # else at any moment, Ray's start included
                while (
                    process.poll() is None
                    and not self.witness.row_files() - self.witness.committed.keys()
                ):
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
                end(process.pid)
            left.pop(0)
            self.kills[kind] += 1
            if kind != "worker":
                process.wait()
            self.witness.look(f"kill {self.kills.total()} ({kind})")
            if kind != "worker":
                return False
        if process.wait() != 0:
            self.witness.failures.append(
                f"run {self.starts} ended with {process.returncode}: {self.runs.said(process)}"
            )
        self.witness.look(f"run {self.starts}")
        return True

    def _result(self) -> Result:
        sweeps = [
            load_sweep(str(self.folder / f"chaos-{r}.yaml"), refs_in(SOAK_TASK))
            for r in range(self.rounds)
        ]
        asked = {trial.trial_id for sweep in sweeps for trial in sweep.trials}
        # a kill costs one attempt of one trial at most
        rows = self.witness.conclude(asked, failed={"crash": self.kills["worker"]})
        ok = rows[rows["status"] == "ok"]
        found = {
            **self.witness.counts(rows),
            "stacked": int((ok["stack_size"] > 1).sum()),
            "went_on_from_checkpoint": int(ok["resumed_epoch"].notna().sum()),
            "runs": self.starts,
            "sweeps": self.rounds,
        }
        return Result(
            "storm", {kind: self.kills[kind] for kind in KINDS}, found, self.witness.failures
        )
