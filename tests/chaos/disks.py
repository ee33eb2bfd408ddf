"""A disk that fills up: a trial fills its own, and the store's is full in the middle of a run.

    unshare --user --map-root-user --mount python -m tests.chaos.disks FOLDER

In a mount namespace of its own, where a small file system can be mounted without anybody's leave,
and which goes with the process. Prints the results as JSON.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import load_sweep
from tests import FAILING_TASK
from tests.chaos.store_auditor import Result, Runs, StoreAuditor

REPOSITORY = Path(__file__).parent.parent.parent
ALONE = ["unshare", "--user", "--map-root-user", "--mount"]
"""In a mount namespace of its own."""

TRIALS = 8
FULL = """
name: full
seeds: [0]
limits: {{measure_points: 0}}
tasks:
  - task: trouble
    fixed: {{max_epochs: 2000}}
    grid: {{n: {{range: [16, {end}]}}}}
"""
"""So many epochs that every trial is a batch of its own, and so a row file."""

FILLER = """
name: filler
seeds: [0, 1, 2]
limits: {{measure_points: 0}}
tasks:
  - {{task: trouble, seeds: [3], fixed: {{how: disk, marker: {file}}}}}
  - {{task: trouble}}
"""


def can_mount() -> bool:
    """Whether this system lets anybody have a mount namespace."""
    return subprocess.run([*ALONE, "true"], capture_output=True).returncode == 0


def disks(folder: Path, environment: dict[str, str] | None = None) -> list[Result]:
    """Both scenarios, in a process that may mount."""
    done = subprocess.run(
        [*ALONE, sys.executable, "-m", "tests.chaos.disks", str(folder)],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return [Result(*found) for found in json.loads(done.stdout)]


def a_trial_fills_its_disk(folder: Path, disk: Path) -> Result:
    """Its row says so, and its neighbours are ok."""
    (folder / "filler.yaml").write_text(FILLER.format(file=disk / "hoard"))
    runs, witness = Runs(folder, None), StoreAuditor(folder / "rows")
    process = runs.start(
        "run", "filler.yaml", "--task-file", FAILING_TASK, "--store", "rows", "--inline"
    )
    if process.wait(300) != 1:
        witness.failures.append(f"the run ended with {process.returncode}: {runs.said(process)}")
    (disk / "hoard").unlink()
    asked = load_sweep(str(folder / "filler.yaml"), refs_in(FAILING_TASK)).trials
    rows = witness.conclude(
        [t.trial_id for t in asked if t.seed != 3],
        failed={"bug": 1},
        gone_wrong=[t.trial_id for t in asked if t.seed == 3],
    )
    if (
        not rows.loc[rows["seed"] == 3, "failure_message"]
        .str.contains("No space left on device")
        .all()
    ):
        witness.failures.append("the row does not say that the disk was full")
    return Result("disk of a trial", {"disks filled": 1}, witness.counts(rows), witness.failures)


def the_stores_disk_is_full(folder: Path, disk: Path) -> Result:
    """The run ends with a sentence, keeps what was written, and goes on when there is room
    again."""
    (folder / "full.yaml").write_text(FULL.format(end=16 + TRIALS))
    room = os.statvfs(disk)
    # a row file takes some 90 kB
    (disk / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize - 400_000))
    runs, witness = Runs(folder, None), StoreAuditor(disk / "rows")
    arguments = [
        "run",
        "full.yaml",
        "--task-file",
        FAILING_TASK,
        "--store",
        disk / "rows",
        "--inline",
    ]
    for _ in range(2):  # the second does not get on either
        process = runs.start(*arguments)
        if (
            process.wait(300) != 2
            or "No space left on device" not in runs.said(process)
            or "Traceback" in runs.said(process)
        ):
            witness.failures.append(
                f"the run on a full disk ended with {process.returncode}: {runs.said(process)}"
            )
        witness.look("a full disk")
    kept = len(witness.committed)
    if not 2 <= kept < TRIALS:
        witness.failures.append(f"the full disk has {kept} row files")
    (disk / "ballast").unlink()
    process = runs.start(*arguments)
    if process.wait(300) != 0:
        witness.failures.append(
            f"the run with room again ended with {process.returncode}: {runs.said(process)}"
        )
    asked = load_sweep(str(folder / "full.yaml"), refs_in(FAILING_TASK)).trials
    rows = witness.conclude([t.trial_id for t in asked], failed={})
    return Result(
        "disk of the store",
        {"disks filled": 1},
        {**witness.counts(rows), "row_files_when_full": kept},
        witness.failures,
    )


def main() -> None:
    folder = Path(sys.argv[1])
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=True)
    print(json.dumps([a_trial_fills_its_disk(folder, disk), the_stores_disk_is_full(folder, disk)]))


if __name__ == "__main__":
    main()
