"""The standard streams that a caller has closed, filled or given another encoding: one sentence at
the most, no traceback.

Run alone: python -m pytest tests/terminal/test_streams.py
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.conftest import UNILAW

PREPARED = """
import sys
from harness.errors import UserError
from harness.terminal.streams import prepare_streams
prepare_streams()
try:
    {does}
except UserError as e:
    print(f"unilaw: {{e}}", file=sys.stderr)
    sys.exit(2)
"""

SIGNS = "d ≤ 3 · σ² − ‖x‖₂ → ∞ … “a” é"


def bash(does: str, redirected: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Prepare the streams, then run the code, under redirections of a shell."""
    code = PREPARED.format(does=does)
    return subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {redirected}', sys.executable, code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=60,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoding", ["utf-8", "ascii", "latin-1", "cp1252", "koi8-r", "gbk", "cp437", "shift_jis"]
)
def test_every_sign_is_printed_in_every_encoding(encoding: str):
    does = f"print({SIGNS!r}, chr(0xdc80)); print({SIGNS!r}, file=sys.stderr)"
    done = bash(does, "", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    out = done.stdout.decode(encoding)
    if encoding == "utf-8":
        assert out == f"{SIGNS} ?\n"
    else:
        assert out.startswith("d <= 3 ") or "≤" in out
        assert "?" not in out.replace(" ?\n", ""), "every sign has a stand-in"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("does", ["print('a word', flush=True)", "print('x' * 100_000)"])
def test_a_full_stdout_is_one_sentence(does: str, unbuffered: str):
    done = bash(does, ">/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 2
    assert done.stderr == b"unilaw: stdout cannot be written: No space left on device\n"


def test_a_full_stderr_costs_nothing_but_its_words():
    does = "print('lost' * 10_000, file=sys.stderr); print('kept')"
    done = bash(does, "2>/dev/full")
    assert (done.returncode, done.stdout) == (0, b"kept\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_never_lead_into_a_file(tmp_path: Path, closed: str):
    file = tmp_path / "rows"
    does = (
        f"held = open({str(file)!r}, 'w'); print('out', flush=True); print('err', file=sys.stderr);"
        " import os; assert held.fileno() > 2; os.write(2, b'from C')"
    )
    done = bash(does, closed)
    assert done.returncode == 0, done.stderr
    assert file.read_text() == ""


@pytest.mark.parametrize(
    ("does", "redirected"),
    [
        ("print('a word', flush=True)", "| true"),
        ("print('x' * 100_000)", "| true"),
        ("from harness.terminal.streams import say; say('a word')", "2>&1 >/dev/null | true"),
    ],
)
def test_without_a_reader_the_exit_code_is_sigpipes(does: str, redirected: str):
    done = bash(f"import time; time.sleep(0.1); {does}", f"{redirected}; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 141
    assert done.stdout == b"" and b"Traceback" not in done.stderr


def test_without_a_reader_a_command_ends_as_by_sigpipe():
    """typer by itself would make it exit code 1, as after failed trials."""
    command = f"(sleep 0.1; exec {UNILAW} --version) | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (141, b"")
