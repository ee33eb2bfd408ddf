"""`unilaw sweeps` lists and copies the shipped sweeps; the shell completes names without torch.

Run alone: python -m pytest tests/terminal/test_sweeps_and_completion.py
"""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.sweeps.installed import BUILT_IN
from harness.sweeps.shipped import SHIPPED, shipped, summaries
from harness.terminal.completion import design_names, shipped_names, sweep_names, task_names


def test_every_shipped_sweep_has_a_line_of_its_own(tmp_path: Path, unilaw_here):
    listed = unilaw_here("sweeps", cwd=tmp_path)
    assert listed.returncode == 0
    names = [line.split()[0] for line in listed.stdout.splitlines()[1:] if line[0] != " "]
    assert names == shipped() == sorted(path.stem for path in SHIPPED.glob("*.yaml"))

    assert all(len(summary) > 20 for summary in summaries().values())
    assert summaries()["mnist-capacity-gpu"].startswith("Madry et al. 2018 (arXiv 1706.06083), ")


def test_a_sweep_is_copied_and_nothing_is_overwritten(tmp_path: Path, unilaw_here):
    for arguments, copied in (
        (["quickstart"], "quickstart.yaml"),
        (["quickstart", "mine.yaml"], "mine.yaml"),
        (["gpt-law", "."], "gpt-law.yaml"),
    ):
        done = unilaw_here("sweeps", "copy", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, f"copied to {copied}\n")
        source = SHIPPED / f"{arguments[0]}.yaml"
        assert (tmp_path / copied).read_bytes() == source.read_bytes()

    (tmp_path / "mine.yaml").write_text("mine")
    done = unilaw_here("sweeps", "copy", "quickstart", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "unilaw: mine.yaml is there already, and nothing is overwritten\n"
    assert (tmp_path / "mine.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["quickstrat"], "'quickstrat' is no shipped sweep; shipped are frontier, "),
        (["quickstrat"], "did you mean 'quickstart'?"),
        (["quickstart", "no/where.yaml"], "no/where.yaml cannot be written: No such file"),
    ],
)
def test_what_cannot_be_copied_is_one_sentence(
    tmp_path: Path, unilaw_here, arguments: list[str], words: str
):
    done = unilaw_here("sweeps", "copy", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr and done.stderr.count("\n") == 1


def test_names_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("quiet.yaml", "quiet.py", ".hidden.yaml"):
        Path(name).touch()
    Path("quarry").mkdir()
    Path("quarry/stone.yaml").touch()

    assert sweep_names("qu") == ["quickstart", "quarry/", "quiet.yaml"]
    assert sweep_names("quarry/") == ["quarry/stone.yaml"]
    assert sweep_names("nowhere/x") == []
    assert ".hidden.yaml" not in sweep_names("")
    assert shipped_names("") == shipped()
    assert task_names("") == sorted(BUILT_IN) and task_names("sp") == ["sphere"]
    assert design_names("g") == ["gpt-law-noise"]


@pytest.mark.slow
def test_a_shell_asks_the_command_itself_and_torch_is_not_loaded(environment):
    """What the shell's completion calls; and all that a command loads before its first line."""
    code = (
        "import sys; sys.argv = ['unilaw']\n"
        "import harness.terminal.progress\n"
        "from harness.cli import main\n"
        "try: main()\n"
        "finally: print(*sorted({'torch', 'ray', 'pandas'} & set(sys.modules)), 'loaded')"
    )
    asked = {
        **environment,
        "_UNILAW_COMPLETE": "complete_bash",
        "COMP_WORDS": "unilaw plan quick",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=asked, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["quickstart", "loaded"], done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "plan", "measure"])
def test_the_first_line_stands_before_torch_is_loaded(environment, command: str):
    code = (
        "import sys; sys.argv = ['unilaw', *sys.argv[1:]]\n"
        "from harness.terminal.progress import Progress\n"
        "def show(self, what):\n"
        "    print(*sorted({'torch', 'ray', 'pandas'} & set(sys.modules)), 'loaded')\n"
        "    sys.exit()\n"
        "Progress.loading = show\n"
        "from harness.cli import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, command, "quickstart"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "loaded\n", done.stderr
