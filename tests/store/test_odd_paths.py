"""Stores at places where none can be: each refused in one sentence that names the place.

Run alone: python -m pytest tests/store/test_odd_paths.py
"""

from pathlib import Path

import pytest

from harness.errors import UserError
from harness.store.disk import Disk
from harness.store.store import Store
from reports import command
from reports.command import make_report
from tests.reports.stores import make_store, row


def refused(where: Path | str) -> str:
    with pytest.raises(UserError) as refusal:
        Store.create(where)
    assert str(where) in str(refusal.value) and "\n" not in str(refusal.value)
    return str(refusal.value)


def test_below_proc():
    assert refused("/proc/rows/here").endswith("cannot be written: No such file or directory")


def test_a_link_to_itself(tmp_path: Path):
    (tmp_path / "loop").symlink_to("loop")
    for where in (tmp_path / "loop", tmp_path / "loop" / "rows"):
        assert "Too many levels of symbolic links" in refused(where)
        with pytest.raises(UserError, match="there is no store"):
            Store.open(where)


def test_a_link_to_nothing(tmp_path: Path):
    (tmp_path / "link").symlink_to("nothing")
    assert refused(tmp_path / "link").endswith(
        "cannot be written: it is a link to 'nothing', which is not a folder; make it one"
    )
    (tmp_path / "nothing").mkdir()
    Store.create(tmp_path / "link")


@pytest.mark.slow
def test_a_store_that_cannot_be_written_can_be_reported_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = make_store(tmp_path / "rows", [row()])

    def read_only(*_: object):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Disk, "_put", read_only)
    monkeypatch.setattr(command, "pieces", lambda *_: [b"a page"])
    monkeypatch.setattr(command, "all_sections", lambda *_: [])
    with pytest.raises(UserError, match=r"Permission denied; write .* with -o FILE.html$"):
        make_report([str(store)])
    written = make_report([str(store)], tmp_path / "report.html")
    assert written == f"report: {tmp_path / 'report.html'}"
