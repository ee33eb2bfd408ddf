"""Paths as users write them: a home that no shell has replaced, and bytes that are no text.

Run alone: python -m pytest tests/sweeps/test_user_paths.py
"""

from pathlib import Path

import pytest

from harness.errors import UserError
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.user_paths import user_path

SWEEP = "name: a\nstore: STORE\nseeds: [0]\ntasks: [{task: sphere}]\n"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("~/rows", "/home/me/rows"),
        ("rows", "rows"),
        ("./~/rows", "./~/rows"),
        ("rows~", "rows~"),
        ("s3://bucket/rows", "s3://bucket/rows"),
    ],
)
def test_a_home_is_a_home_on_the_command_line_and_in_a_file(given: str, meant: str):
    assert user_path(given) == meant
    sweep = parse_sweep(SWEEP.replace("STORE", f"'{given}'"), "sweep.yaml")
    assert sweep.store == (meant if "//" in meant else str(Path(meant)))


def test_a_home_that_does_not_exist_is_named():
    with pytest.raises(UserError, match=r"the path '~nobody-here/x' begins with a home that"):
        user_path("~nobody-here/x")
    with pytest.raises(UserError, match=r"^sweep.yaml:2: the path '~nobody-here/x' begins"):
        parse_sweep(SWEEP.replace("STORE", "~nobody-here/x"), "sweep.yaml")


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(UserError, match=r"the path b'caf\\xe9' holds bytes that are no UTF-8"):
        user_path("caf\udce9")
