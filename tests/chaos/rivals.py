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
    """Both end as if alone. A third run then has nothing to do."""
    (folder / "rivals.yaml").write_text(SWEEP.format(seeds=seeds))
    runs, witness = Runs(folder, environment), StoreAuditor(folder / "rows")
    arguments = [
        "run",
        "rivals.yaml",
        "--task-file",
        SOAK_TASK,
        "--store",
        "rows",
        *(["--inline"] if inline else []),
    ]
    try:
        both = [runs.start(*arguments), runs.start(*arguments)]
        while any(process.poll() is None for process in both):
            witness.look("a while of two drivers")
            time.sleep(0.2)
        third = runs.start(*arguments)
        third.wait(300)
        for process in (*both, third):
            if process.returncode != 0:
                witness.failures.append(
                    f"a driver ended with {process.returncode}: {runs.said(process)}"
                )
    finally:
        runs.end()
    asked = [t.trial_id for t in load_sweep(str(folder / "rivals.yaml"), refs_in(SOAK_TASK)).trials]
    if f"0 ok, 0 failed, {len(asked)} finished before" not in runs.said(third):
        witness.failures.append(f"the third run found something to do: {runs.said(third)}")
    rows = witness.conclude(asked, failed={}, twice=len(asked))
    done_twice = int(rows["trial_id"].duplicated().sum())
    return Result(
        "two drivers",
        {"drivers": 2},
        {**witness.counts(rows), "done_twice": done_twice},
        witness.failures,
    )
