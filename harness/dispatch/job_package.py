"""What a job takes along: the packages of this installation, the sweep file and the task file, and
the command that runs them."""

import hashlib
import json
import shlex
import shutil
from pathlib import Path

from harness import HOME
from harness.dispatch.worker import NAMES
from harness.store import provenance
from harness.sweeps.registry import TaskRef
from harness.sweeps.sweep import Sweep
from harness.sweeps.trial import canonical_json

USER_FILES = "_given"
"""The folder of the files that the user named. They lie apart from the packages: a task file may be
called random.py."""


def base_id(sweep: Sweep, task_file: TaskRef | None, store: str) -> str:
    """Return the job's id, unilaw-NAME-HASH. Its hash is made of the sweep's text and trials, the
    task file and the store."""
    content = [
        sweep.text,
        sorted(trial.trial_id for trial in sweep.trials),
        task_file.source if task_file else None,
        store,
    ]
    digest = hashlib.sha256(canonical_json(content).encode()).hexdigest()

    return f"unilaw-{sweep.name}-{digest[:8]}"


def pack(
    folder: Path, sweep: Sweep, task_file: TaskRef | None, store: str, retry_failed: bool
) -> str:
    """Put what the job runs into `folder` and return its command line."""
    _copy_packages(folder)

    user_files = folder / USER_FILES
    user_files.mkdir()
    sweep_copy = user_files / f"{sweep.name}.yaml"
    sweep_copy.write_text(sweep.text, encoding="utf-8")

    command = ["python", "-m", "harness.cli", "run", str(sweep_copy.relative_to(folder))]
    command += ["--address", "auto", "--store", store]
    if task_file is not None and task_file.source is not None:
        task_copy = user_files / Path(task_file.file or "task.py").name
        task_copy.write_text(task_file.source, encoding="utf-8")
        command += ["--task-file", str(task_copy.relative_to(folder))]
    if retry_failed:
        command.append("--retry-failed")

    return shlex.join(command)


def _copy_packages(folder: Path) -> None:
    """Copy the packages of this installation, and record which commit they come from."""
    for name in NAMES:
        shutil.copytree(
            HOME / name,
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__", ".*"),
        )

    code = provenance.of_code()
    commit = {key: code[key] for key in ("commit", "dirty") if key in code}
    (folder / provenance.COMMIT_FILE).write_text(json.dumps(commit))
