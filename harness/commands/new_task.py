"""`unilaw new-task`: a task to begin with, and a small sweep of it."""

import re
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UserError
from harness.store.user_files import refuse_taken, write_new

TEMPLATE = Path(__file__).with_name("new_task_template.py")
"""A task file as it stands, with NewTask, NewConfig and TASK_NAME in place of the names."""

SWEEP = """\
name: "{name}"
seeds: [0, 1]
tasks:
  - task: {name}
    grid:
      n: [100, 200, 400]  # one curve each: a slope gets an interval from three curves on
      width: [8, 16, 32, 64, 128]
"""

NAMES = r"[a-z][a-z0-9]*([-_][a-z0-9]+)*"
LONGEST_NAME = 40

NewTaskName = Annotated[
    str, typer.Argument(metavar="NAME", help="The task's name, as sweep files will say it.")
]


def new_task(name: NewTaskName) -> None:
    """Write NAME.py, a commented task that works, and NAME.yaml, a small sweep of it."""
    _refuse_bad_name(name)
    class_name = "".join(word.capitalize() for word in re.split("[-_]", name))
    task = TEMPLATE.read_text(encoding="utf-8")
    for placeholder, instead in (
        ("NewTask", f"{class_name}Task"),
        ("NewConfig", f"{class_name}Config"),
        ("TASK_NAME", name),
    ):
        task = task.replace(placeholder, instead)

    files = {Path(f"{name}.py"): task, Path(f"{name}.yaml"): SWEEP.format(name=name)}
    for path in files:
        refuse_taken(path)
    for path, text in files.items():
        write_new(path, text.encode())
    typer.echo(
        f"wrote {name}.py and {name}.yaml. To go on:\n"
        f"    unilaw check {name}.py\n"
        f"    unilaw run {name}.yaml --task-file {name}.py"
    )


def _refuse_bad_name(name: str) -> None:
    """Raise UserError for a name that no task, file or sweep can have, and for an installed
    task's."""
    from harness.sweeps.installed import installed

    if len(name) > LONGEST_NAME or not re.fullmatch(NAMES, name):
        raise UserError(
            f"the task name {name[:60]!r}: must be lower-case letters and digits, words joined by"
            f" - or _, a letter first, at most {LONGEST_NAME} characters"
        )
    if name in installed():
        raise UserError(f"the task name '{name}' is taken by an installed task; choose another")
