"""A folder on a disk or in a bucket: its operations, and names that lead out of it.

Run alone: python -m pytest tests/store/test_folder.py
"""

from pathlib import Path

import pytest

from harness.store.folder import LeadsOut
from harness.store.location import folder_at, read_kept
from harness.store.store import Store
from tests.bucket_server import BucketServer


@pytest.mark.slow
def test_the_operations_of_a_folder(bucket: BucketServer):
    folder = folder_at(bucket.uri("a/b"))
    assert not folder.there() and folder.entries() == [] and folder.size("x") is None

    folder.put("x", b"one")
    folder.put("x", b"other")
    folder.put("_in/side.txt", b"two")
    large = bytes(range(256)) * 50_000  # 12.8 MB: uploaded in parts
    folder.put("large", large)
    assert folder.there() and folder.get("x") == b"other" and folder.get("large") == large
    assert [(e.name, e.is_file, e.size) for e in folder.entries()] == [
        ("_in", False, 0),
        ("large", True, len(large)),
        ("x", True, 5),
    ]
    assert [e.name for e in folder.entries("_in")] == ["side.txt"]
    assert folder.entries("nothing") == []
    assert folder.matching("_in", "*.txt") == ["_in/side.txt"]
    assert folder.matching("_in", "*.png") == []
    assert folder.size("x") == 5 and folder.size("_in") is None
    with folder.open("x") as file:
        assert file.read(3) == b"oth"

    folder.move("x", "_aside/x")
    folder.delete("_in/side.txt")
    folder.delete("never there")
    with pytest.raises(FileNotFoundError):
        folder.get("x")
    assert folder.get_if_there("x") is None
    assert bucket.names("a/b") == ["_aside/x", "large"]

    folder.clear()
    assert bucket.names("a") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/x", "a//b", "a/", "", "a/./b", "a\nb", "a\x00b", "x\x1b[31m"]
)
@pytest.mark.parametrize("kind", ["disk", "bucket"])
def test_names_that_lead_out_of_a_folder_are_refused(
    bucket: BucketServer, tmp_path: Path, name: str, kind: str
):
    folder = folder_at(tmp_path / "in" if kind == "disk" else bucket.uri("in"))
    for operation in (
        lambda: folder.put(name, b""),
        lambda: folder.get(name),
        lambda: folder.delete(name),
        lambda: folder.move(name, "y"),
        lambda: folder.size(name),
        lambda: folder.open(name),
    ):
        with pytest.raises(LeadsOut):
            operation()
    assert bucket.names("") == [] and list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_keys_of_every_kind_are_checked(bucket: BucketServer):
    store = Store.create(bucket.uri("rows"))
    before = bucket.names("")
    for operation in (
        lambda: store.put_weights("../../x", b""),
        lambda: store.put_pictures("a/../../../x", b""),
        lambda: read_kept(store.weights(), "../../x"),
    ):
        with pytest.raises(LeadsOut):
            operation()
    assert bucket.names("") == before
