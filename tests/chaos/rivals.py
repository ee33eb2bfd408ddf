"""Two drivers on one store at once, with the same sweep: some trials are done twice, and nothing
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
    folder: Path, seeds: int, inline: bool, environment: dict[str, str] | None = None
) -> Result:
    """Run two drivers at once. Both must end as if alone, and a third run have nothing to do."""
    (folder / "rivals.yaml").write_text(SWEEP.format(seeds=seeds))
    runs = Runs(folder, environment)
    auditor = StoreAuditor(folder / "rows")
    arguments = ["run", "rivals.yaml", "--task-file", SOAK_TASK, "--store", "rows"]
    if inline:
        arguments.append("--inline")

    try:
        both = [runs.start(*arguments), runs.start(*arguments)]
        while any(process.poll() is None for process in both):
            auditor.look("a while of two drivers")
            time.sleep(0.2)

        third = runs.start(*arguments)
        third.wait(300)
        for process in (*both, third):
            if process.returncode != 0:
                auditor.failures.append(
                    f"a driver ended with {process.returncode}: {runs.output(process)}"
                )
    finally:
        runs.end()

    sweep = load_sweep(str(folder / "rivals.yaml"), refs_in(SOAK_TASK))
    asked = [trial.trial_id for trial in sweep.trials]
    if f"0 ok, 0 failed, {len(asked)} finished before" not in runs.output(third):
        auditor.failures.append(f"the third run found something to do: {runs.output(third)}")
    rows = auditor.conclude(asked, failed={}, twice=len(asked))
    done_twice = int(rows["trial_id"].duplicated().sum())
    found = {**auditor.counts(rows), "done_twice": done_twice}
    return Result("two drivers", {"drivers": 2}, found, auditor.failures)
