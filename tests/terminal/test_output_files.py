"""A file that cannot be written where it was asked for is refused before any work.

Run alone: python -m pytest tests/terminal/test_output_files.py
"""

import os
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.store.user_files import refuse_file, refuse_folder, refuse_taken, write_new, write_over
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


def test_where_no_file_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match="is a folder; name a file"):
        refuse_file(tmp_path, "it")
    with pytest.raises(UserError, match=r"it cannot be written: File name too long"):
        refuse_folder(tmp_path / ("a" * 300), "it")
    (tmp_path / "link").symlink_to("nothing")
    with pytest.raises(UserError, match="is there already"):
        refuse_taken(tmp_path / "link")

    monkeypatch.setattr(os, "access", lambda place, mode: False)  # root may write anywhere
    for refuse in (lambda path: refuse_file(path, "it"), refuse_taken):
        with pytest.raises(UserError, match="cannot be written: Permission denied"):
            refuse(tmp_path / "new")


def test_files_are_written_over_or_new(tmp_path: Path):
    far = tmp_path / "a" / "b"
    refuse_file(far, "it")
    assert not far.parent.exists(), "asking makes nothing"
    write_over(far, b"1", "it")
    refuse_file(far, "it")
    write_over(far, b"2", "it")
    assert far.read_bytes() == b"2" and len(list(far.parent.iterdir())) == 1

    with pytest.raises(UserError, match="is there already, and nothing is overwritten"):
        write_new(far, b"3")
    write_new(tmp_path / "c", b"4")
    assert (far.read_bytes(), (tmp_path / "c").read_bytes()) == (b"2", b"4")
