"""A file that cannot be written where it was asked for is refused before any work.

Run alone: python -m pytest tests/terminal/test_output_files.py
"""

from pathlib import Path

import pytest

from tests.conftest import Command

NO_FOLDER = "cannot be written: Not a directory"
SUGGEST = ("suggest", "nowhere", "--narrow", "alpha", "--budget", "1h", "-o")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("report", "nowhere", "-o", "file/r.html"), f"the report 'file/r.html' {NO_FOLDER}"),
        (("report", "nowhere", "--figures", "file"), f"--figures 'file' {NO_FOLDER}"),
        (("fit", "nowhere.csv", "-o", "file/fit.md"), f"-o 'file/fit.md' {NO_FOLDER}"),
        (("selftest", "-o", "file/page.md"), f"the page 'file/page.md' {NO_FOLDER}"),
        ((*SUGGEST, "file"), "file is there already, and nothing is overwritten"),
        ((*SUGGEST, "no/next.yaml"), "no/next.yaml cannot be written: No such file or directory"),
    ],
)
def test_before_any_work(
    unilaw_here: Command, tmp_path: Path, arguments: tuple[str, ...], words: str
):
    """Nor is the store or the table looked for."""
    (tmp_path / "file").write_text("mine")
    done = unilaw_here(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"unilaw: {words}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"
