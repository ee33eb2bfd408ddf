"""Several drivers on one store at once, with the same sweep: few trials are done twice, and nothing
is lost or shown twice."""

import time
from pathlib import Path

from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import load_sweep
from tests import SOAK_TASK
from tests.chaos.store_auditor import Result, Runs, StoreAuditor

SWEEP = """
name: rivals
seeds: [0]
limits: {{measure_points: 64}}
tasks:
  - task: sphere
    seeds: {{range: [0, {seeds}]}}
    fixed: {{stop: epochs, max_epochs: 600}}
    grid: {{n: [128, 192], width: [8, 16, 24]}}
  - task: marathon
    fixed: {{stop: epochs, max_epochs: 600}}
    grid: {{n: [512, 576]}}
"""


def rivals(
    folder: Path,
    seeds: int,
    inline: bool,
    environment: dict[str, str] | None = None,
    drivers: int = 2,
) -> Result:
    """Run several drivers at once. Each must end as if alone, and one more have nothing to do.

    Drivers that begin together train the same batch, and the first that ends writes its rows. Two
    that end at the same moment do not see one another, so the trials of such a batch have two rows.
    """
    (folder / "rivals.yaml").write_text(SWEEP.format(seeds=seeds))
    runs = Runs(folder, environment)
    auditor = StoreAuditor(folder / "rows")
    arguments = ["run", "rivals.yaml", "--task-file", SOAK_TASK, "--store", "rows"]
    if inline:
        arguments.append("--inline")

    try:
        at_once = [runs.start(*arguments) for _ in range(drivers)]
        while any(process.poll() is None for process in at_once):
            auditor.look(f"a while of {drivers} drivers")
            time.sleep(0.2)

        last = runs.start(*arguments)
        last.wait(300)
        for process in (*at_once, last):
            if process.returncode != 0:
                auditor.failures.append(
                    f"a driver ended with {process.returncode}: {runs.output(process)}"
                )
    finally:
        runs.end()

    sweep = load_sweep(str(folder / "rivals.yaml"), refs_in(SOAK_TASK))
    asked = [trial.trial_id for trial in sweep.trials]
    if f"0 ok, 0 failed, {len(asked)} finished before" not in runs.output(last):
        auditor.failures.append(f"the last run found something to do: {runs.output(last)}")
    rows = auditor.conclude(asked, failed={}, twice=len(asked))
    times_done = rows["trial_id"].value_counts()
    found = {
        **auditor.counts(rows),
        "done_again": int((times_done - 1).sum()),
        "done_by_several": int((times_done > 1).sum()),
        "most_often": int(times_done.max()),
    }
    return Result(f"{drivers} drivers", {"drivers": drivers}, found, auditor.failures)
