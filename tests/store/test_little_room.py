"""A disk with little room costs weights before it costs a row, and a place that cannot be written
is refused before anything is trained.

Run alone: python -m pytest tests/store/test_little_room.py
"""

import errno
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.store.store import Store
from tests.store.rows import names, row

WEIGHTS = bytes(200_000)
"""More than a row file takes."""


def quota(monkeypatch: pytest.MonkeyPatch, folder: Path, bytes_in_all: int) -> None:
    """Let the files below a folder take so many bytes and no more."""
    write = Path.write_bytes

    def write_within(path: Path, content: bytes) -> int:
        used = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        if used + len(content) > bytes_in_all:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_within)


def bytes_of_a_row_file(tmp_path: Path) -> int:
    other = Store.create(tmp_path / "other")
    return (Path(other.where) / other.append([row("a"), row("b")])).stat().st_size


def used(store: Store) -> int:
    return sum(file.stat().st_size for file in Path(store.where).rglob("*") if file.is_file())


def test_weights_that_do_not_fit_are_left_out_and_their_rows_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    room = used(store) + len(WEIGHTS) + bytes_of_a_row_file(tmp_path) + 10_000
    quota(monkeypatch, Path(store.where), room)
    rows = [row(trial, **store.keep_weights(trial, WEIGHTS)) for trial in ("a", "b")]
    store.append(rows)

    read = store.read().rows.set_index("trial_id")
    assert read["weights_file"].dropna().to_dict() == {"a": "_weights/a.safetensors"}
    assert read["weights_sha256"].notna().to_dict() == {"a": True, "b": False}
    (sentence,) = store.left_out()
    assert "1 trial (b)" in sentence and "their rows are kept" in sentence
    assert store.left_out() == []


def test_weights_make_way_for_their_own_rows(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.append([row("before", **store.keep_weights("before", WEIGHTS))])
    quota(monkeypatch, Path(store.where), used(store) + len(WEIGHTS) + 5_000)
    store.append([row(trial, **store.keep_weights(trial, WEIGHTS)) for trial in ("a", "b")])

    read = store.read().rows.set_index("trial_id")["weights_file"]
    assert read.dropna().to_dict() == {"before": "_weights/before.safetensors"} and len(read) == 3
    assert names(Path(store.where) / "_weights") == ["before.safetensors"]
    assert "2 trials (b, a)" in store.left_out()[0]


def test_rows_that_do_not_fit_at_all_are_counted(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.append([row("before")])
    quota(monkeypatch, Path(store.where), used(store) + 1500)
    rows = [row("a", **store.keep_weights("a", WEIGHTS))]
    with pytest.raises(
        UserError,
        match="Disk quota exceeded; what was written before is kept, so free some space and run"
        r".*Not kept: the row of the batch that has just ended",
    ):
        store.append(rows)
    assert store.read().rows["trial_id"].tolist() == ["before"]
    assert not (Path(store.where) / "_weights").exists(), "a folder takes room, too"


def test_a_picture_or_weights_whose_name_is_taken_cost_no_row(store: Store):
    (Path(store.where) / "_pictures" / "a.png").mkdir(parents=True)
    (Path(store.where) / "_weights" / "a.safetensors").mkdir(parents=True)
    columns = store.keep_weights("a", WEIGHTS) | store.keep_pictures("a", b"png")
    assert set(columns.values()) == {None} and len(store.left_out()) == 1


def test_a_planted_link_in_the_place_of_weights_is_replaced(store: Store, tmp_path: Path):
    (tmp_path / "secret").write_text("mine")
    (Path(store.where) / "_weights").mkdir()
    (Path(store.where) / "_weights" / "a.safetensors").symlink_to(tmp_path / "secret")
    store.keep_weights("a", WEIGHTS)
    assert (tmp_path / "secret").read_text() == "mine"
    assert (Path(store.where) / "_weights" / "a.safetensors").read_bytes() == WEIGHTS


def test_no_index_is_no_loss(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.append([row("a")])
    quota(monkeypatch, Path(store.where), 0)
    store.index()
    assert not (Path(store.where) / "_index").is_file()
    assert len(store.read().rows) == 1


@pytest.mark.parametrize(
    "folder", ["_weights", "_pictures", "_checkpoints", "_runs", "_sweeps", "_set_aside"]
)
@pytest.mark.parametrize("place", ["file", "link out", "link to itself"])
def test_a_folder_that_cannot_be_written_is_refused_before_a_run(
    store: Store, tmp_path: Path, folder: str, place: str
):
    path = Path(store.where) / folder
    if place == "file":
        path.write_text("a file")
    else:
        path.symlink_to(tmp_path if place == "link out" else folder)
    with pytest.raises(UserError, match=f"{folder}"):
        Store.create(store.where)
    assert not list(tmp_path.glob("_tmp-*"))


def test_a_store_inside_another_is_refused(store: Store):
    inside = Path(store.where) / "new"
    with pytest.raises(UserError, match="lies inside the store '.*rows'.*choose a place outside"):
        Store.create(inside)
    with pytest.raises(UserError, match="lies inside the store"):
        Store.create(inside / "deeper")
    assert not inside.exists()
