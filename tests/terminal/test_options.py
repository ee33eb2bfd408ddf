"""Options of the command: numbers beyond all bounds, more cores than there are, a trial by its id.

Run alone: python -m pytest tests/terminal/test_options.py
"""

import sys
from pathlib import Path

import pytest

from harness.cli import main
from harness.planning.cores import cores_here
from harness.sweeps.sweep import parse_sweep

SWEEP = """\
name: small
seeds: [0]
tasks:
  - task: sphere
    fixed: {n: 16, d: 3, max_epochs: 2}
    grid: {width: [2, 4]}
"""


@pytest.fixture
def unilaw(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """`unilaw("plan", "small.yaml")` in a folder that holds SWEEP: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Path("small.yaml").write_text(SWEEP)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["unilaw", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        streams = capsys.readouterr()
        return int(ended.value.code or 0), streams.out, streams.err

    return call


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--cpus", "9" * 21, "1024"),  # versions of typer differ in their words
        ("--cpus", "1024", "--cpus is 1024, and this machine has "),
        ("--points", "9" * 21, "100000"),
        ("--gpus", "nan", "--gpus"),
        ("--gpus", "inf", "--gpus inf: must be 0, 1, or a share 1/k"),
        ("--gpus", "2", "--gpus 2: must be 0, 1, or a share 1/k"),
    ],
)
def test_a_number_beyond_its_bounds_is_one_sentence(unilaw, option: str, value: str, words: str):
    code, out, err = unilaw("measure", "rows", option, value)
    assert (code, out) == (2, "")
    assert words in err and "Traceback" not in err


def test_more_cores_than_there_are_are_refused_before_a_store_is_made(unilaw):
    too_many = cores_here() + 1
    Path("small.yaml").write_text(f"{SWEEP}resources: {{cpus: {too_many}}}\n")
    for how in ([], ["--inline"]):
        code, out, err = unilaw("run", "small.yaml", "--store", "rows", *how)
        assert (code, out) == (2, "")
        assert err.startswith(f"unilaw: resources.cpus is {too_many}, and this machine has ")
    assert not Path("rows").exists()


@pytest.mark.slow
def test_a_trial_that_is_finished_is_said_to_be(unilaw):
    trial_id = parse_sweep(SWEEP, "small.yaml").trials[0].trial_id
    run = ("run", "small.yaml", "--inline", "--store", "~/rows", "--trial", trial_id[:8])
    assert "is finished" not in unilaw(*run)[2]
    code, _, err = unilaw(*run)
    assert code == 0
    assert f"the trial {trial_id} is finished in {Path.cwd() / 'home' / 'rows'}" in err
    assert not Path("~").exists(), "a home is a home, though no shell has replaced it"
