"""A disk that fills up: a trial fills its own, and the store's is full in the middle of a run.

    unshare --user --map-root-user --mount python -m tests.chaos.disks FOLDER

It runs in a mount namespace of its own, where a small file system can be mounted without anybody's
leave, and which ends with the process. Prints the results as JSON.
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
"""Runs a command in a mount namespace of its own."""

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
"""With this many epochs, every trial is a batch of its own, and so a row file."""

FILLER = """
name: filler
seeds: [0, 1, 2]
limits: {{measure_points: 0}}
tasks:
  - {{task: trouble, seeds: [3], fixed: {{how: disk, marker: {file}}}}}
  - {{task: trouble}}
"""


def can_mount() -> bool:
    """Return whether this system lets anybody have a mount namespace."""
    return subprocess.run([*ALONE, "true"], capture_output=True).returncode == 0


def disks(folder: Path, environment: dict[str, str] | None = None) -> list[Result]:
    """Run both scenarios in a process that may mount."""
    done = subprocess.run(
        [*ALONE, sys.executable, "-m", "tests.chaos.disks", str(folder)],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return [Result(*found) for found in json.loads(done.stdout)]


def a_trial_fills_its_disk(folder: Path, disk: Path) -> Result:
    """Let a trial fill its disk. Its row must say so, and its neighbours be ok."""
    (folder / "filler.yaml").write_text(FILLER.format(file=disk / "hoard"))
    runs = Runs(folder, None)
    auditor = StoreAuditor(folder / "rows")
    process = runs.start(
        "run", "filler.yaml", "--task-file", FAILING_TASK, "--store", "rows", "--inline"
    )
    if process.wait(300) != 1:
        auditor.failures.append(f"the run ended with {process.returncode}: {runs.output(process)}")
    (disk / "hoard").unlink()

    asked = load_sweep(str(folder / "filler.yaml"), refs_in(FAILING_TASK)).trials
    rows = auditor.conclude(
        [t.trial_id for t in asked if t.seed != 3],
        failed={"bug": 1},
        gone_wrong=[t.trial_id for t in asked if t.seed == 3],
    )
    messages = rows.loc[rows["seed"] == 3, "failure_message"]
    if not messages.str.contains("No space left on device").all():
        auditor.failures.append("the row does not say that the disk was full")
    return Result("disk of a trial", {"disks filled": 1}, auditor.counts(rows), auditor.failures)


def the_stores_disk_is_full(folder: Path, disk: Path) -> Result:
    """Fill the store's disk. The run must end with a sentence, keep what was written, and go on
    when there is room again."""
    (folder / "full.yaml").write_text(FULL.format(end=16 + TRIALS))
    room = os.statvfs(disk)
    # a row file takes some 90 kB
    (disk / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize - 400_000))
    runs = Runs(folder, None)
    auditor = StoreAuditor(disk / "rows")
    options = ["--task-file", FAILING_TASK, "--store", disk / "rows", "--inline"]
    arguments = ["run", "full.yaml", *options]

    for _ in range(2):  # the second run does not get on either
        process = runs.start(*arguments)
        code = process.wait(300)
        output = runs.output(process)
        says_why = "No space left on device" in output and "Traceback" not in output
        if code != 2 or not says_why:
            auditor.failures.append(f"the run on a full disk ended with {code}: {output}")
        auditor.look("a full disk")

    kept = len(auditor.committed)
    if not 2 <= kept < TRIALS:
        auditor.failures.append(f"the full disk has {kept} row files")

    (disk / "ballast").unlink()
    process = runs.start(*arguments)
    if process.wait(300) != 0:
        auditor.failures.append(
            f"the run with room again ended with {process.returncode}: {runs.output(process)}"
        )

    asked = load_sweep(str(folder / "full.yaml"), refs_in(FAILING_TASK)).trials
    rows = auditor.conclude([t.trial_id for t in asked], failed={})
    found = {**auditor.counts(rows), "row_files_when_full": kept}
    return Result("disk of the store", {"disks filled": 1}, found, auditor.failures)


def main() -> None:
    folder = Path(sys.argv[1])
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=True)
    print(json.dumps([a_trial_fills_its_disk(folder, disk), the_stores_disk_is_full(folder, disk)]))


if __name__ == "__main__":
    main()
