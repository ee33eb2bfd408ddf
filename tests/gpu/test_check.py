"""The check for a machine with a GPU: a part that hangs or crashes costs only itself, and without a
GPU it says so. Every part runs at a tiny size on a CPU, as far as a CPU can go.

Run alone: python -m pytest tests/gpu/test_check.py
"""

import subprocess
import sys

import pytest
import torch

from tests import ROOT
from tests.gpu.__main__ import LIMITS, NO_GPU, check_part, main
from tests.gpu.line import Line

SAID = Line.at_most("a figure", 0.5, 1.0, " s")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", f"print({SAID.as_json()!r}, flush=True)\n{code}"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "last"),
    [
        ("import time; time.sleep(60)", Line("the part", "not done in 1 s", "done", False)),
        (
            "raise ValueError('no such kernel')",
            Line("the part", "code 1: ValueError: no such kernel", "code 0", False),
        ),
        ("import os; os.abort()", Line("the part", "code -6: ", "code 0", False)),
    ],
    ids=["hangs", "fails", "crashes"],
)
def test_a_part_that_ends_badly_keeps_the_lines_it_said(code: str, last: Line):
    assert check_part(python(code), limit=1.0 if "sleep" in code else 30.0) == [SAID, last]


@pytest.mark.parametrize("met", [True, False])
def test_a_figure_is_judged(met: bool):
    assert Line.at_least("a", 2.0 if met else 0.5, 1.0).met is met
    assert Line.at_most("a", 0.5 if met else 2.0, 1.0).met is met


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["tests.gpu"])
    assert main() == 2
    assert capsys.readouterr().err == NO_GPU + "\n"


def test_an_unknown_part_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["tests.gpu", "mlp"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "there is no part 'mlp'; the parts are equality, mlps" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_the_parts_take_under_eight_minutes(device: str):
    assert sum(limits[device] for limits in LIMITS.values()) <= 475


@pytest.mark.soak
def test_every_part_runs_on_a_cpu(environment: dict[str, str]):
    command = [sys.executable, "-m", "tests.gpu", "--on", "cpu"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("done in") == len(LIMITS)
