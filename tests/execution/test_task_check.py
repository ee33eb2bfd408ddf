"""`unilaw check`: a sound task passes every check, and each slip fails the check that is about it,
with the line of the user's own file where it raised.

Run alone: python -m pytest tests/execution/test_task_check.py
"""

import json
from pathlib import Path

import pandas as pd
import pytest

from harness.execution.check_file import check_file
from harness.execution.global_generators import STATES
from harness.execution.task_check import Finding
from harness.store.data_note import NOTES, SHARED, shared_draws
from tests.test_readme import TASK_PAGE, block

pytestmark = pytest.mark.slow

SOUND = '''
import random
import numpy as np
import torch
from torch import nn
from harness.noise import Noise, flip_labels, resample_labels
from harness.task import Config, Data, Field, Size, Task


class TriedConfig(Config):
    n: int = Field(default=40, ge=10, le=100, description="points")
    width: int = Size(4, description="units")


class Tried(Task):
    """A task to be tried."""

    name = "tried"
    Config = TriedConfig

    def input_shape(self, config):
        return (3,)

    def data(self, config, seeds):
        x = torch.randn(config.n + 50, 3, generator=seeds.generator("data"))
        y, noise = flip_labels(x[50:, 0].sign(), 0.2, seeds.generator("noise"))
        return Data(x[50:], y, x[:50], x[:50, 0].sign(), noise)

    def model(self, config):
        return nn.Sequential(nn.Linear(3, config.width), nn.ReLU(), nn.Linear(config.width, 1))
'''

LANGUAGE = """
from harness.language import CausalLM
from harness.task import Field
from tasks.text_stream import TextStream, TextStreamConfig


class SmallConfig(TextStreamConfig):
    n: int = Field(8, description="windows")
    context: int = Field(8, description="tokens")
    depth: int = Field(1, description="layers", json_schema_extra={"size": True})


class Model(CausalLM):
    def forward(self, x):
        return super().forward(x)


class Small(TextStream):
    name = "small"
    Config = SmallConfig

    def model(self, config):
        return Model(super().model(config).transformer)
"""

NOISE = 'y, noise = flip_labels(x[50:, 0].sign(), 0.2, seeds.generator("noise"))'
GIVEN = "return Data(x[50:], y, x[:50], x[:50, 0].sign(), noise)"
TEN = (
    NOISE,
    "clean = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()\n"
    "        y, noise = resample_labels(clean[50:], 4, 0.2, seeds.generator('noise'))",
)
TEN_GIVEN = (GIVEN, "return Data(x[50:], y, x[:50], clean[:50], noise, classes=4)")
TEN_OUT = ("nn.Linear(config.width, 1)", "nn.Linear(config.width, 4)")


def findings(folder: Path, text: str) -> dict[str, Finding]:
    """Return what is found of the one task of a file, by check."""
    file = folder / "tried.py"
    file.write_text(text)
    ((_, found),) = check_file(file)
    return {finding.check: finding for finding in found}


def changed(*changes: tuple[str, str]) -> str:
    text = SOUND
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    "changes",
    [(), (TEN, TEN_GIVEN, TEN_OUT), (("nn.ReLU()", "nn.Dropout(0.5)"),)],
    ids=["±1", "classes", "dropout"],
)
def test_a_sound_task_passes_every_check(tmp_path: Path, changes: tuple[tuple[str, str], ...]):
    found = findings(tmp_path, changed(*changes))
    assert len(found) == 10 and {f.sign for f in found.values()} == {"✓"}
    assert " s for 40 samples" in found["one step"].sentence


SLIPS = {
    "no size": ("Size(4, ", "Field(4, ", "configuration", "!", "no field is declared with Size"),
    "a shape of nothing": ("return (3,)", "return (0,)", "input shape", "✗", "gave 0; it must be"),
    "no data": (GIVEN, "return x", "data", "✗", "gave Tensor; it must be harness.task.Data"),
    "float64": (GIVEN, GIVEN.replace("x[50:],", "x[50:].double(),"), "data", "✗", "torch.float64"),
    "numpy inputs": (
        GIVEN,
        GIVEN.replace("x[50:],", "x[50:].numpy(),"),
        "data",
        "✗",
        "numpy.ndarray",
    ),
    "texts for labels": (
        GIVEN,
        GIVEN.replace("y,", "['in' if v > 0 else 'out' for v in y],"),
        "data",
        "✗",
        "gave y_train as list; it must be a torch.Tensor of ±1",
    ),
    "no word of noise": (
        GIVEN,
        GIVEN.replace("noise)", "None)"),
        "data",
        "✗",
        "gave noise as NoneType; it must be harness.noise.Noise",
    ),
    "a column of labels": (GIVEN, GIVEN.replace("y,", "y[:, None],"), "data", "✗", "(40, 1)"),
    "labels of 0 and 1": (GIVEN, GIVEN.replace("y,", "(y + 1) / 2,"), "data", "✗", "−1 and +1"),
    "NaN": (NOISE, f"x[0, 0] = torch.nan; {NOISE}", "data", "✗", "inputs that are not finite"),
    "torch's generator": (
        'seeds.generator("data")',
        "None",
        "data drawn twice",
        "✗",
        "generator of torch, or",
    ),
    "numpy's generator": (
        NOISE,
        f"{NOISE}; y[0] = np.random.choice([-1, 1])",
        "data drawn twice",
        "✗",
        "generator of numpy.random, or",
    ),
    "Python's generator": (
        NOISE,
        f"{NOISE}; random.shuffle([1, 2])",
        "data drawn twice",
        "✗",
        "generator of random, or",
    ),
    "a seed of its own for all": (
        NOISE,
        f"torch.manual_seed(1); {NOISE}",
        "data drawn twice",
        "✗",
        "or seeded it",
    ),
    "a generator without a seed": (
        'generator=seeds.generator("data")',
        "generator=torch.Generator().manual_seed(np.random.default_rng().integers(99999).item())",
        "data drawn twice",
        "✗",
        "other samples the second time",
    ),
    "the same data for every seed": (
        "seeds.generator(",
        "torch.Generator().manual_seed(1) if 1 else (",
        "data drawn twice",
        "!",
        "seeds 0 and 1 get the same samples",
    ),
    "no noise": ("0.2, seeds", "0.0, seeds", "labels", "✗", "the stop rule is 'noise'"),
    "not on the meta device": (
        "return nn.Seq",
        "torch.ones(1).item(); return nn.Seq",
        "meta device",
        "!",
        "run alone",
    ),
    "a list of layers": (
        "nn.Sequential(nn.Linear(3, config.width), nn.ReLU(), nn.Linear(config.width, 1))",
        "[nn.Linear(3, 1)]",
        "model",
        "✗",
        "model() gave list",
    ),
    "weights of another generator": (
        "return nn.Sequential(",
        "return nn.Sequential(nn.PReLU(init=random.random()), ",
        "model",
        "✗",
        "the same seed gives other initial weights ('0.weight')",
    ),
    "no model at all": ("return nn.Seq", "nn.Seq", "model", "✗", "model() gave NoneType"),
    "another model on the meta device": (
        "return nn.Sequential(",
        "return nn.Sequential(nn.Linear(3, 3 if torch.empty(0).is_meta else 4), nn.ReLU(), "
        "nn.Linear(3 if torch.empty(0).is_meta else 4, 3), ",
        "meta device",
        "✗",
        "and 45 on the meta device",
    ),
    "two outputs": (*TEN_OUT[:1], "nn.Linear(config.width, 2)", "output", "✗", "gave (8, 2)"),
    "NaN outputs": (
        "nn.ReLU()",
        "nn.Threshold(1e9, float('nan'))",
        "output",
        "✗",
        "NaN or infinite",
    ),
    "batch norm": ("nn.ReLU()", "nn.BatchNorm1d(config.width)", "samples apart", "✗", "batch norm"),
    "a loss beyond all numbers": (NOISE, f"x[60] = 1e25; {NOISE}", "one step", "✗", "the loss is"),
}
"""Old text, new text, and the check that should say so: its sign, and some of its words."""


@pytest.mark.parametrize(("old", "new", "check", "sign", "words"), SLIPS.values(), ids=SLIPS.keys())
def test_a_slip_is_found_by_its_check(
    tmp_path: Path, old: str, new: str, check: str, sign: str, words: str
):
    found = findings(tmp_path, changed((old, new)))
    assert (found[check].sign, words in found[check].sentence) == (sign, True), found[check]


@pytest.mark.parametrize(
    ("labels", "words"),
    [("y + 1", "from 0 to 3, and go from 1 to 4"), ("y.float()", "from 0 to 3, and are float32")],
)
def test_labels_that_are_no_classes_are_said_as_they_are(tmp_path: Path, labels: str, words: str):
    wrong = (TEN_GIVEN[0], TEN_GIVEN[1].replace("x[50:], y,", f"x[50:], {labels},"))
    found = findings(tmp_path, changed(TEN, wrong, TEN_OUT))
    assert found["data"].sign == "✗" and found["data"].sentence.endswith(words), found["data"]


def test_a_class_that_does_not_occur_is_a_doubt(tmp_path: Path):
    five = (TEN_GIVEN[0], TEN_GIVEN[1].replace("classes=4", "classes=5"))
    found = findings(tmp_path, changed(TEN, five, (TEN_OUT[0], "nn.Linear(config.width, 5)")))
    assert found["labels"].sentence == "data() says 5 classes, and the training labels hold 4"
    assert found["labels"].sign == "!"


def test_an_exception_is_shown_at_the_users_own_lines_alone(tmp_path: Path):
    found = findings(tmp_path, changed(("nn.Linear(3, ", "nn.Linear(2, ")))
    raised = found["output"]
    assert raised.sentence.startswith("the task raises RuntimeError when its model is called: mat1")
    assert raised.traceback == "", "torch alone was at work"
    assert found["one step"].sentence == "not tried: it needs the output, which failed above"

    found = findings(tmp_path, changed(("config.n + 50, 3", "config.m + 50, 3")))
    raised = found["data"]
    assert raised.sign == "✗" and "AttributeError in data(): " in raised.sentence
    where, line = raised.traceback.splitlines()[:2]
    assert where.strip() == f'File "{tmp_path / "tried.py"}", line 25, in data'
    assert line.strip() == SOUND.splitlines()[24].replace("config.n", "config.m").strip()
    assert raised.traceback.count("File ") == 1
    untried = {name for name, finding in found.items() if finding.sign == "–"}
    assert untried == {"data drawn twice", "labels", "output", "samples apart", "one step"}


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("import torch\nx = 1 +\n", "SyntaxError", "x = 1 +"),
        ("\n1 / 0\n", "ZeroDivisionError", "1 / 0"),
    ],
    ids=["syntax", "raises"],
)
def test_a_file_that_does_not_run(tmp_path: Path, text: str, words: str, line: str):
    found = findings(tmp_path, text)["file"]
    assert found.sign == "✗" and words in found.sentence
    assert "tried.py" in found.traceback and line in found.traceback


def test_a_task_that_ends_its_process_is_a_finding(tmp_path: Path):
    found = findings(tmp_path, changed((NOISE, "import os; os._exit(0)")))
    assert "os._exit(0)" in found["data"].sentence and found["data"].sign == "✗"


def test_a_language_task(tmp_path: Path):
    found = findings(tmp_path, LANGUAGE)
    assert {finding.sign for finding in found.values()} == {"✓"}, found
    assert list(found)[-2:] == ["output", "one pass"]

    found = findings(tmp_path, LANGUAGE.replace("super().forward(x)", "super().forward(x.flip(1))"))
    assert found["output"].sentence.startswith("the model sees later tokens"), found


# The command


@pytest.mark.parametrize("example", ["task", "classes"])
def test_the_guides_examples_pass_every_check(tmp_path: Path, example: str):
    found = findings(tmp_path, block(TASK_PAGE, example))
    assert {finding.sign for finding in found.values()} == {"✓"}, found


def test_check_exits_with_2_for_a_failed_check_and_for_bad_input(tmp_path: Path, unilaw_here):
    (tmp_path / "tried.py").write_text(SOUND)
    done = unilaw_here("check", "tried.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "10 of 10 checks passed"

    (tmp_path / "tried.py").write_text(changed(("return (3,)", "return 3")))
    done = unilaw_here("check", "tried.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "input shape ✗" in done.stdout or "✗  input shape" in done.stdout

    for arguments, words in ((["none.py"], "cannot be read"), ([__file__], "defines no task")):
        done = unilaw_here("check", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "") and words in done.stderr


def test_a_new_task_passes_the_checks_and_a_small_sweep_runs_it(tmp_path: Path, unilaw_here):
    made = unilaw_here("new-task", "my-own", cwd=tmp_path)
    assert made.returncode == 0 and "unilaw check my-own.py" in made.stdout
    checked = unilaw_here("check", "my-own.py", cwd=tmp_path)
    assert checked.stdout.splitlines()[-1] == "10 of 10 checks passed", checked.stdout

    planned = unilaw_here("plan", "my-own.yaml", "--task-file", "my-own.py", "--json", cwd=tmp_path)
    plan = json.loads(planned.stdout)
    assert (plan["trials"], len(plan["cells"]), plan["uncounted"]) == (30, 15, [])
    smallest = plan["cells"][0]["trial_ids"][0]
    run = ("run", "my-own.yaml", "--task-file", "my-own.py", "--inline", "--trial", smallest)
    ran = unilaw_here(*run, cwd=tmp_path)
    assert ran.returncode == 0 and ran.stdout.startswith("1 ok, 0 failed"), ran.stderr


def test_new_task_refuses_bad_names_and_overwrites_nothing(tmp_path: Path, unilaw_here):
    for name, words in (("sphere", "is taken"), ("../x", "must be lower-case"), ("A", "must be")):
        done = unilaw_here("new-task", name, cwd=tmp_path)
        assert done.returncode == 2 and words in done.stderr
    (tmp_path / "mine.yaml").write_text("kept")
    done = unilaw_here("new-task", "mine", cwd=tmp_path)
    assert done.stderr == "unilaw: mine.yaml is there already, and nothing is overwritten\n"
    assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_row_says_that_its_data_came_from_a_shared_generator(tmp_path: Path, unilaw_here):
    (tmp_path / "tried.py").write_text(changed(('seeds.generator("data")', "None")))
    (tmp_path / "tried.yaml").write_text(
        "name: t\nseeds: [0]\ntasks: [{task: tried, fixed: {max_epochs: 1}}]\n"
    )
    done = unilaw_here("run", "tried.yaml", "--task-file", "tried.py", "--inline", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (note,) = pd.read_parquet(tmp_path / "runs" / "t")["data_note"]
    assert note == shared_draws(["torch"])
    assert SHARED == tuple(STATES) and note in NOTES, "these sentences alone are sent on"
