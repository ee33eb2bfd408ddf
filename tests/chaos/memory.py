"""A trial that allocates without end, on a Ray whose memory monitor ends workers once the
machine holds 2 GB more than now."""

from pathlib import Path

import psutil

from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import load_sweep
from tests import FAILING_TASK
from tests.chaos.store_auditor import Result, Runs, StoreAuditor

MORE_BYTES = 2e9
"""How much more memory the machine may hold before Ray ends a worker."""

SWEEP = """
name: hoard
seeds: [0, 1, 2]
limits: {attempts: 2, measure_points: 0, seconds_per_trial: 240}
tasks:
  - {task: trouble, seeds: [3], fixed: {how: allocate}}
  - {task: trouble}
"""


def without_end(folder: Path, environment: dict[str, str]) -> Result:
    """Let a trial allocate without end. Its rows must be oom, and its neighbours ok. A neighbour
    may need a second attempt, since the monitor may end the neighbour's worker first."""
    (folder / "hoard.yaml").write_text(SWEEP)
    machine = psutil.virtual_memory()
    threshold = (machine.total - machine.available + MORE_BYTES) / machine.total
    monitored = {
        "RAY_memory_usage_threshold": f"{threshold:.4f}",
        "RAY_memory_monitor_refresh_ms": "100",
    }
    runs = Runs(folder, {**environment, **monitored})
    auditor = StoreAuditor(folder / "rows")
    try:
        process = runs.start("run", "hoard.yaml", "--task-file", FAILING_TASK, "--store", "rows")
        if process.wait(600) != 1:
            auditor.failures.append(
                f"the run ended with {process.returncode}: {runs.output(process)}"
            )
    finally:
        runs.end()

    asked = load_sweep(str(folder / "hoard.yaml"), refs_in(FAILING_TASK)).trials
    good = [trial.trial_id for trial in asked if trial.seed != 3]
    bad = [trial.trial_id for trial in asked if trial.seed == 3]
    rows = auditor.conclude(good, failed={"oom": 5}, gone_wrong=bad)
    return Result("memory without end", {"hoards": 1}, auditor.counts(rows), auditor.failures)
