"""Why Ray does not start on a machine, as in a container: the cause, and what helps. No Ray is
started.

Run alone: python -m pytest tests/dispatch/test_ray_starts.py
"""

import os
from pathlib import Path

import pytest
import ray

from harness.dispatch import cluster
from harness.errors import UserError


def refused() -> str:
    assert not ray.is_initialized()
    with pytest.raises(UserError, match="^Ray did not start on this machine: ") as refusal:
        cluster._start_here()
    assert "less busy" not in str(refusal.value)
    return str(refusal.value)


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "file"))
    said = refused()
    assert f"{tmp_path / 'file'}/ray: Not a directory; set RAY_TMPDIR to a folder" in said


def test_a_path_too_long_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("x" * 90)))
    assert "too long for a socket; set RAY_TMPDIR to a shorter one" in refused()


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(RuntimeError) as homeless:
        Path.home()

    def start(**_: object):
        raise homeless.value

    monkeypatch.setattr(ray, "init", start)
    assert refused().endswith(
        "this user has no home folder; set HOME to a folder that can be written"
    )


def test_anything_else_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch):
    def start(**_: object):
        raise Exception("The current node timed out during startup.\nDetails")

    monkeypatch.setattr(ray, "init", start)
    with pytest.raises(UserError, match=r"timed out during startup; try again when it is less"):
        cluster._start_here()
