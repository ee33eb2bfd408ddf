"""The tasks that a name can mean: built-in ones, those of installed packages, and those of a file
named on the command line.

A task travels to workers as a `TaskRef`. For a task file that is its source text, so a node that
does not have the file runs the same code, and the text's hash is part of every trial's identity.
"""

import hashlib
import importlib
import linecache
import sys
import types
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from harness.errors import UserError, did_you_mean
from harness.sweeps.installed import installed
from harness.sweeps.small_files import read_small
from harness.sweeps.users_code import users_code
from harness.task import BaseTask, Config, Task

LARGEST_VERSION = 2**31 - 1
"""The largest version of a task that a row can hold."""


class TaskRef(NamedTuple):
    """The data by which any process finds a task again. `source` is the text of a task file, `file`
    the name of that file."""

    name: str
    file: str | None = None
    source: str | None = None

    @property
    def source_hash(self) -> str | None:
        """SHA-256 of a task file's text; None for an installed task, whose version stands for
        its code."""
        if self.source is None:
            return None
        return hashlib.sha256(self.source.encode()).hexdigest()


def refs_in(path: Path, place: str | None = None) -> dict[str, TaskRef]:
    """Return the tasks that a file defines, by name. place: what messages begin with; without it,
    the option that named the file.

    Raises UserError when the file cannot be read or run, defines no task, or takes an installed
    task's name.
    """
    place = place or f"--task-file {path}"
    source = _text_of(path, place)
    with users_code(f"{place}:", "when it is run"):
        module = _module_from(str(path), source)
        refs: dict[str, TaskRef] = {}
        for task in _tasks_of(module):
            _check(task, place)
            if task.name in refs:
                raise UserError(f"{place}: two tasks are called '{task.name}'")
            refs[task.name] = TaskRef(task.name, str(path), source)
            load(refs[task.name])  # its __init__ is the file's, too
    if not refs:
        raise UserError(
            f"{place}: defines no task; it needs a subclass of harness.task.Task with a name"
        )
    return refs


def _text_of(path: Path, place: str) -> str:
    """Return a file's text with line ends as \\n: it is part of every trial's identity."""
    try:
        text = read_small(path, place, "a task file").decode()
    except UnicodeDecodeError as e:
        raise UserError(f"{place}: cannot be read: {e}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def find(name: str, from_file: dict[str, TaskRef]) -> TaskRef:
    """Return the task called `name`; raise UserError, with the nearest name, for an unknown one."""
    known = {**{n: TaskRef(n) for n in installed()}, **from_file}
    if name not in known:
        hint = did_you_mean(name, known) or (
            "; a task of your own needs --task-file FILE.py, in Python task_file"
        )
        raise UserError(f"unknown task {name[:60]!r}; known: {', '.join(sorted(known))}{hint}")
    return known[name]


@cache
def load(ref: TaskRef) -> BaseTask:
    """Return the task itself, made once in this process.

    Raises UserError when an installed task cannot be imported.
    """
    if ref.source is not None:
        module = _module_from(ref.file or "task file", ref.source)
        return next(task for task in _tasks_of(module) if task.name == ref.name)()

    module_name, _, attribute = installed()[ref.name].partition(":")
    try:
        task = getattr(importlib.import_module(module_name), attribute)()
    except (Exception, SystemExit) as e:
        raise UserError(
            f"the task '{ref.name}' ({module_name}:{attribute}) cannot be loaded:"
            f" {type(e).__name__}: {e}"
        ) from e
    _refuse_several_gpus(type(task), f"the task '{ref.name}' ({module_name}:{attribute})")
    return task


def _refuse_several_gpus(task: type[BaseTask], which: str) -> None:
    """Raise UserError when a task that fits labelled samples asks for several GPUs."""
    if issubclass(task, Task) and task.max_gpus != 1:
        raise UserError(
            f"{which} says max_gpus = {task.max_gpus!r}, and it must be 1: only a LanguageTask's"
            " models are trained over several GPUs"
        )


def load_samples(ref: TaskRef) -> Task:
    """Return a task that fits labelled samples, as `load` does."""
    task = load(ref)
    assert isinstance(task, Task)
    return task


def _module_from(file: str, source: str) -> types.ModuleType:
    name = f"unilaw_task_{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]

    module = types.ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module  # pydantic looks annotations up here
    # so that tracebacks show the file's lines
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _tasks_of(module: types.ModuleType) -> list[type[BaseTask]]:
    """Return the tasks that the module defines itself and that have a name of their own."""
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    tasks = [c for c in classes if issubclass(c, BaseTask) and c.__module__ == module.__name__]
    return [task for task in tasks if "name" in vars(task)]


def _check(task: type[BaseTask], place: str) -> None:
    """Raise UserError when the task lacks a name, a method, or a configuration whose fields all
    have defaults."""
    if not (isinstance(task.name, str) and task.name.isprintable() and task.name):
        raise UserError(f"{place}: the name of {task.__name__} must be a text, not {task.name!r}")
    if task.name in installed():
        raise UserError(
            f"{place}: the task name '{task.name}' is taken by an installed task; choose another"
        )
    if not isinstance(task.version, int) or abs(task.version) > LARGEST_VERSION:
        raise UserError(
            f"{place}: the version of the task '{task.name}' must be a whole number up"
            f" to {LARGEST_VERSION}, not {task.version!r}"
        )
    _refuse_several_gpus(task, f"{place}: the task '{task.name}'")
    missing = sorted(getattr(task, "__abstractmethods__", ()))
    if missing:
        raise UserError(f"{place}: the task '{task.name}' lacks {', '.join(missing)}")
    config = getattr(task, "Config", None)
    if not (
        isinstance(config, type) and issubclass(config, BaseModel) and issubclass(config, Config)
    ):
        raise UserError(
            f"{place}: the task '{task.name}' needs Config, a subclass of harness.task.Config"
        )
    for name, field in config.model_fields.items():
        if field.is_required():
            raise UserError(f"{place}: the field '{name}' of {config.__name__} needs a default")
