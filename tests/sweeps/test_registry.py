"""How a task's name is found: built-in, an installed package's entry point, or a task file with
its mistakes named.

Run alone: python -m pytest tests/sweeps/test_registry.py
"""

import traceback
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.sweeps.installed import BUILT_IN, installed
from harness.sweeps.registry import TaskRef, find, load, load_samples, refs_in
from harness.task import BaseTask, Config
from tasks.sphere import Sphere

TOY = '''\
"""A task in a file of its own."""

from harness.task import Config, Field, Task


class ToyConfig(Config):
    """Its configuration."""

    spin: int = Field(3, ge=2, description="turns")


class Toy(Task):
    """A toy."""

    name = "toy"
    Config = ToyConfig

    def input_shape(self, config):
        return (config.spin,)

    def data(self, config, seeds):
        raise LookupError("no data here")

    def model(self, config):
        return None
'''


def write(folder: Path, text: str) -> Path:
    path = folder / "my_task.py"
    path.write_text(text)
    return path


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        refs_in(path)
    message = str(error.value)
    assert message.startswith(f"--task-file {path}: ") and message.isprintable()
    return message.removeprefix(f"--task-file {path}: ")


# Built-in


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_tasks_load_once(name: str):
    task = load(find(name, {}))
    assert isinstance(task, BaseTask) and task.name == name and issubclass(task.Config, Config)
    assert load(TaskRef(name)) is task


OWN = "; a task of your own needs --task-file FILE.py, in Python task_file"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("spheer", "; did you mean 'sphere'?"),
        ("Mnist", "; did you mean 'mnist'?"),
        ("imagenet", OWN),
        ("", OWN),
        ("x" * 999, OWN),
    ],
)
def test_an_unknown_name(name: str, hint: str):
    with pytest.raises(UserError) as error:
        find(name, {})
    assert (
        str(error.value)
        == f"unknown task {name[:60]!r}; known: mnist, pretrained, sphere, text, text-stream{hint}"
    )


# Entry points of other packages


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with one good and two broken entry points."""
    info = tmp_path / "balls-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: balls\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[unilaw.tasks]\nball = balls_for_unilaw:Ball\nlost = balls_that_are_not_there:Ball\nsphere"
        " = balls_for_unilaw:Ball\n"
    )
    (tmp_path / "balls_for_unilaw.py").write_text(
        "from tasks.sphere import Sphere\n\n\nclass Ball(Sphere):\n    name = 'ball'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_an_entry_point_is_a_task(package: Path):
    assert installed()["ball"] == "balls_for_unilaw:Ball"
    assert load(find("ball", {})).name == "ball"
    assert find("ball", {}).source_hash is None


def test_an_entry_point_cannot_take_a_built_in_name(package: Path):
    assert type(load(find("sphere", {}))) is Sphere and installed()["sphere"] == BUILT_IN["sphere"]


def test_a_broken_entry_point_is_named_and_harms_no_other(package: Path):
    with pytest.raises(
        UserError,
        match=(
            r"the task 'lost' \(balls_that_are_not_there:Ball\) cannot be loaded:"
            r" ModuleNotFoundError"
        ),
    ):
        load(find("lost", {}))
    assert load(find("ball", {})).name == "ball"


# Task files


def test_a_task_file(tmp_path: Path):
    path = write(tmp_path, TOY)
    refs = refs_in(path)
    assert refs == {"toy": TaskRef("toy", str(path), TOY)}
    task = load(find("toy", refs))
    assert task.Config().model_dump()["spin"] == 3 and task.input_shape(task.Config()) == (3,)


def test_several_tasks_and_a_base_without_a_name(tmp_path: Path):
    base = TOY.replace('    name = "toy"\n', "").replace("class Toy(", "class Base(")
    text = base + "\n\nclass One(Base):\n    name = 'one'\n\n\nclass Two(Base):\n    name = 'two'\n"
    refs = refs_in(write(tmp_path, text))
    assert set(refs) == {"one", "two"}
    assert {type(load(ref)).__name__ for ref in refs.values()} == {"One", "Two"}


def test_imported_tasks_are_not_the_files_own(tmp_path: Path):
    assert set(refs_in(write(tmp_path, "from tasks.sphere import Sphere\n" + TOY))) == {"toy"}


def test_annotations_as_text_work(tmp_path: Path):
    refs = refs_in(
        write(
            tmp_path,
            "from __future__ import annotations\n"
            + TOY.removeprefix('"""A task in a file of its own."""\n'),
        )
    )
    assert load(refs["toy"]).Config.model_validate({"spin": 5}).model_dump()["spin"] == 5


def test_the_source_travels_and_the_file_may_be_gone(tmp_path: Path):
    path = write(tmp_path, TOY.replace('"toy"', '"traveller"'))
    ref = refs_in(path)["traveller"]
    path.unlink()
    assert load(TaskRef(ref.name, ref.file, ref.source)).name == "traveller"


def test_the_source_is_part_of_the_reference(tmp_path: Path):
    one = refs_in(write(tmp_path, TOY))["toy"]
    two = refs_in(write(tmp_path, TOY + "# changed\n"))["toy"]
    assert one.source_hash != two.source_hash and None not in (one.source_hash, two.source_hash)


def test_tracebacks_show_the_files_lines(tmp_path: Path):
    task = load_samples(refs_in(write(tmp_path, TOY))["toy"])
    with pytest.raises(LookupError) as error:
        task.data(task.Config(), None)  # pyright: ignore[reportArgumentType]
    last = traceback.extract_tb(error.value.__traceback__)[-1]
    assert Path(last.filename).name == "my_task.py"
    assert (
        last.line
        == 'raise LookupError("no data here")'
        == TOY.splitlines()[(last.lineno or 0) - 1].strip()
    )


MISTAKES = {
    "syntax error": (
        TOY + "def broken(:\n",
        "raises SyntaxError when it is run: invalid syntax (my_task.py, line ",
    ),
    "raises": (
        TOY + "raise RuntimeError('one\\ntwo')\n",
        "raises RuntimeError when it is run: one two",
    ),
    "exits": ("import sys\nsys.exit(0)\n", "raises SystemExit when it is run: 0"),
    "missing import": (
        "import no_such_module_anywhere\n" + TOY,
        "raises ModuleNotFoundError when it is run",
    ),
    "null byte": (TOY + "\x00", "raises SyntaxError when it is run"),
    "no task": ("x = 1\n", "defines no task; it needs a subclass of harness.task.Task with a name"),
    "empty": ("", "defines no task"),
    "no name": (TOY.replace('    name = "toy"\n', ""), "defines no task"),
    "name of a built-in": (
        TOY.replace('"toy"', '"sphere"'),
        "the task name 'sphere' is taken by an installed task",
    ),
    "name twice": (TOY + "\n\nclass Again(Toy):\n    name = 'toy'\n", "two tasks are called 'toy'"),
    "name is a number": (TOY.replace('"toy"', "5"), "the name of Toy must be a text, not 5"),
    "name is empty": (TOY.replace('"toy"', '""'), "the name of Toy must be a text, not ''"),
    "missing methods": (TOY.partition("    def data")[0], "the task 'toy' lacks data, model"),
    "no configuration": (
        TOY.replace("    Config = ToyConfig\n", ""),
        "the task 'toy' needs Config, a subclass of harness.task.Config",
    ),
    "configuration of another kind": (
        TOY.replace("Config = ToyConfig", "Config = dict"),
        "the task 'toy' needs Config",
    ),
    "field without default": (
        TOY.replace("Field(3, ", "Field("),
        "the field 'spin' of ToyConfig needs a default",
    ),
    "field without annotation": (
        TOY.replace("spin: int = ", "spin = "),
        "raises PydanticUserError when it is run",
    ),
}


@pytest.mark.parametrize(("text", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_a_task_file_is_one_sentence(tmp_path: Path, text: str, words: str):
    assert refused(write(tmp_path, text)).startswith(words)


def test_a_file_that_cannot_be_read(tmp_path: Path):
    assert refused(tmp_path / "none.py") == "cannot be read: No such file or directory"
    assert refused(tmp_path) == "cannot be read: Is a directory"
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    assert refused(tmp_path / "latin.py").startswith("cannot be read: 'utf-8' codec can't decode")


def test_a_file_that_fails_can_be_mended_in_the_same_process(tmp_path: Path):
    refused(write(tmp_path, TOY + "1 / 0\n"))
    assert set(refs_in(write(tmp_path, TOY))) == {"toy"}
