"""Sources that hold pipes, devices, unreadable files or nothing: said when a sweep is read, never
waited for.

Run alone: python -m pytest tests/tasks/test_odd_files.py
"""

import os
from pathlib import Path

import numpy as np
import pytest

from harness.errors import UserError
from harness.sweeps.sweep import parse_sweep
from tasks.digits import IDX_FILES
from tasks.text_sources import documents, source_identity


def fill(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.txt").write_text(f"text {name}")


@pytest.mark.parametrize("odd", ["pipe", "zeros", "nothing"])
def test_what_is_no_file_is_named(tmp_path: Path, odd: str):
    fill(tmp_path)
    path = tmp_path / "odd.txt"
    if odd == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if odd == "zeros" else "nowhere")

    message = f"the source 'text:{tmp_path}': {path} is not a file that can be read"
    for read in (source_identity, lambda source: list(documents(source))):
        with pytest.raises(UserError) as refused:
            read(f"text:{tmp_path}")
        assert str(refused.value) == message


def test_a_link_to_a_device_is_no_source(tmp_path: Path):
    (tmp_path / "zeros.txt").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="is neither a file nor a folder that holds"):
        source_identity(f"text:{tmp_path / 'zeros.txt'}")


def test_a_folder_with_a_files_name_is_passed_over(tmp_path: Path):
    fill(tmp_path)
    before = source_identity(f"text:{tmp_path}")
    (tmp_path / "folder.txt").mkdir()
    assert source_identity(f"text:{tmp_path}") == before


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fill(tmp_path)

    def denied(self: Path, *_: object):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(UserError, match=r"a.txt cannot be read: Permission denied$"):
        source_identity(f"text:{tmp_path}")


@pytest.mark.parametrize("kind", ["training", "test"])
def test_digits_without_images_are_refused(tmp_path: Path, kind: str):
    counts = [0, 0, 20, 20] if kind == "training" else [20, 20, 0, 0]
    for name, count in zip(IDX_FILES, counts, strict=True):
        shape = (count, 28, 28) if "images" in name else (count,)
        sizes = np.array(shape, ">u4").tobytes()
        header = bytes([0, 0, 8, len(shape)]) + sizes
        (tmp_path / name).write_bytes(header + bytes(int(np.prod(shape))))

    fixed = f"{{n: 10, stop: epochs, source: 'idx:{tmp_path}'}}"
    sweep = f"name: a\nseeds: [0]\ntasks:\n  - task: mnist\n    fixed: {fixed}\n"
    with pytest.raises(UserError) as refused:
        parse_sweep(sweep, "sweep.yaml")
    assert str(refused.value) == f"sweep.yaml:5: 'idx:{tmp_path}': there are no {kind} images"
