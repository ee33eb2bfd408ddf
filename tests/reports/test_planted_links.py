"""No file outside is written through a link that somebody planted at a temporary name.

Run alone: python -m pytest tests/reports/test_planted_links.py
"""

import uuid
from pathlib import Path

import pytest

from harness.store import whole_file
from harness.store.whole_file import write_whole
from reports.command import make_report
from tests.reports.stores import make_store, row


@pytest.mark.slow
def test_a_report_follows_no_planted_link(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    store = make_store(tmp_path / "received", [row()])
    for name in (".page.html.tmp", "_tmp-page.html", ".page.html"):
        (store / name).symlink_to(victim)

    (store / "page.html").symlink_to(victim)  # replaced, not followed
    make_report([str(store)], store / "page.html")
    assert victim.read_text() == "mine"
    assert not (store / "page.html").is_symlink()
    assert [p.name for p in store.glob("_tmp-*")] == ["_tmp-page.html"]


def test_a_temporary_name_that_is_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Were the name to be guessed, nothing is written through it either."""
    guessed = uuid.UUID(int=0)
    monkeypatch.setattr(whole_file.uuid, "uuid4", lambda: guessed)
    victim = tmp_path / "victim"
    (tmp_path / f"_tmp-file-{guessed.hex}").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "file", b"content")
    assert not victim.exists() and not (tmp_path / "file").exists()
