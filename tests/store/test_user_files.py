"""Files that a command writes: where none can be, over an old one, and never over one.

Run alone: python -m pytest tests/store/test_user_files.py
"""

import os
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.store.user_files import refuse_file, refuse_folder, refuse_taken, write_new, write_over


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
