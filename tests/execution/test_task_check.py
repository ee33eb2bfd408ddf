"""`unilaw check`: a sound task passes every check, and each slip fails the check that is about it,
with the line of the user's own file where it raised.

Run alone: python -m pytest tests/execution/test_task_check.py
"""

from pathlib import Path

import pytest

from tests.execution.tried_tasks import (
    GIVEN,
    LANGUAGE,
    NOISE,
    SOUND,
    TEN,
    TEN_GIVEN,
    TEN_OUT,
    changed,
    findings,
)

pytestmark = pytest.mark.slow


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
    "a slow step": (
        "nn.ReLU()",
        "type('Slow', (nn.ReLU,), {'forward': lambda self, x: (time.sleep(1.3), x)[1]})()",
        "one step",
        "!",
        "limits.seconds_per_trial is 600 unless",
    ),
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
    assert where.strip() == f'File "{tmp_path / "tried.py"}", line 26, in data'
    assert line.strip() == SOUND.splitlines()[25].replace("config.n", "config.m").strip()
    assert raised.traceback.count("File ") == 1
    untried = {name for name, finding in found.items() if finding.sign == "–"}
    later = {"output", "meta device", "samples apart", "one step"}
    assert untried == {"data drawn twice", "labels", *later}


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
    assert list(found)[-3:] == ["output", "meta device", "one pass"]

    found = findings(tmp_path, LANGUAGE.replace("super().forward(x)", "super().forward(x.flip(1))"))
    assert found["output"].sentence.startswith("the model sees later tokens"), found
