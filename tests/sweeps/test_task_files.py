"""Task files that never end, that end the process, or that raise whatever they can: one sentence.

Run alone: python -m pytest tests/sweeps/test_task_files.py
"""

import os
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.sweeps.registry import refs_in
from harness.sweeps.small_files import MAX_BYTES
from harness.sweeps.sweep import Sweep, load_sweep, parse_sweep
from harness.sweeps.yaml_lines import read_document

TASK = '''
from harness.task import Config, Field, Task


class C(Config):
    width: int = Field(3, ge=2, description="units")


class Toy(Task):
    """A toy."""

    name = "toy"
    Config = C
    data = input_shape = model = lambda *_: None
'''

HOSTILE = {
    "ends the process": (
        "import os\nos._exit(0)\n",
        "raises SystemExit when it is run: os._exit(0)",
    ),
    "ends the process by another name": (
        "from os import _exit\n_exit(3)\n",
        "raises SystemExit when it is run: os._exit(3)",
    ),
    "a BaseException": (
        "class Odd(BaseException):\n    pass\nraise Odd('one\\ntwo')\n",
        "raises Odd when it is run: one two",
    ),
    "a generator's end": ("raise GeneratorExit\n", "raises GeneratorExit when it is run"),
    "an exception without a message": (
        "class Odd(Exception):\n    def __str__(self):\n        raise self\nraise Odd\n",
        "raises Odd when it is run: (it raises when it is asked for its message)",
    ),
    "an exception without a name": (
        "class Meta(type):\n    __name__ = property(lambda c: 1 / 0)\n"
        "class Odd(Exception, metaclass=Meta):\n    pass\nraise Odd('words')\n",
        "raises an exception when it is run: words",
    ),
    "a metaclass": (
        f"import abc\n{TASK}\n\nclass Meta(abc.ABCMeta):\n    def __getattribute__(self, name):\n"
        "        if name == '__module__':\n            raise LookupError(name)\n"
        "        return super().__getattribute__(name)\n\n\n"
        "class Hidden(Toy, metaclass=Meta):\n    name = 'hidden'\n",
        "raises LookupError when it is run: __module__",
    ),
    "a repr": (
        TASK.replace('"toy"', "Odd()").replace(
            "class C(",
            "class Odd:\n    def __repr__(self):\n        raise OSError('no')\n\n\nclass C(",
        ),
        "raises OSError when it is run: no",
    ),
    "a task that cannot be made": (
        TASK + "\n    def __init__(self):\n        raise RuntimeError('not today')\n",
        "raises RuntimeError when it is run: not today",
    ),
}


@pytest.mark.parametrize(("text", "words"), HOSTILE.values(), ids=HOSTILE.keys())
def test_whatever_a_task_file_does_is_one_sentence(tmp_path: Path, text: str, words: str):
    path = tmp_path / "my_task.py"
    path.write_text(text)
    ends = os._exit
    with pytest.raises(UserError) as refused:
        refs_in(path)
    message = str(refused.value)
    assert message.startswith(f"--task-file {path}: {words}") and "\n" not in message
    assert os._exit is ends


def sweep_of(tmp_path: Path, text: str) -> Sweep:
    path = tmp_path / "my_task.py"
    path.write_text(text)
    sweep = "name: a\nseeds: [0]\ntasks:\n  - task: toy\n    grid: {width: [2, 4]}\n"
    return parse_sweep(sweep, "sweep.yaml", refs_in(path))


CALLED = {
    "fingerprint exits": (
        TASK + "\n    def fingerprint(self, config):\n        raise SystemExit(0)\n",
        "raises SystemExit in fingerprint(): 0",
    ),
    "fingerprint ends the process": (
        TASK + "\n    def fingerprint(self, config):\n        import os\n        os._exit(0)\n",
        "raises SystemExit in fingerprint(): os._exit(0)",
    ),
    "a validator": (
        TASK.replace(
            'description="units")',
            'description="units")\n\n    def model_post_init(self, _):\n        raise KeyError(5)',
        ),
        "raises KeyError in C: 5",
    ),
}


@pytest.mark.parametrize(("text", "words"), CALLED.values(), ids=CALLED.keys())
def test_whatever_a_sweep_calls_is_one_sentence(tmp_path: Path, text: str, words: str):
    with pytest.raises(UserError, match=r"^sweep.yaml:4: the task 'toy' raises ") as refused:
        sweep_of(tmp_path, text)
    assert words in str(refused.value)


def test_pipes_and_devices_are_refused_unread(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "zeros", Path("/dev/zero")):
        for read in (refs_in, read_document):
            with pytest.raises(UserError, match="cannot be read: it is a pipe or a device, not a"):
                read(path)


def test_a_file_far_too_long_is_not_read_whole(tmp_path: Path):
    long = tmp_path / "long.py"
    with long.open("wb") as file:
        file.truncate(10**12)  # a hole: it takes no room
    for read in (refs_in, read_document):
        with pytest.raises(UserError, match=rf"is 1000000000000 bytes long; .* have {MAX_BYTES}"):
            read(long)


def test_line_ends_are_no_part_of_a_tasks_identity(tmp_path: Path):
    here = sweep_of(tmp_path, TASK)
    (tmp_path / "my_task.py").write_bytes(TASK.replace("\n", "\r\n").encode())
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(here.text)
    there = load_sweep(str(sweep), refs_in(tmp_path / "my_task.py"))
    assert [t.trial_id for t in there.trials] == [t.trial_id for t in here.trials]


# Which trial, and which path


def test_one_trial_is_named_by_a_beginning_that_no_other_has(tmp_path: Path):
    sweep = sweep_of(tmp_path, TASK)
    first, second = (trial.trial_id for trial in sweep.trials)
    assert [t.trial_id for t in sweep.only(first[:8]).trials] == [first]
    with pytest.raises(UserError) as refused:
        sweep.only("")
    assert str(refused.value) == (
        f"--trial '': 2 trials of the sweep 'a' begin so ({first}, {second}); give more of the id"
    )
