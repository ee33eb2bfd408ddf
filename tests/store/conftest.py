"""The store that most tests here write to."""

from pathlib import Path

import pytest

from harness.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "rows")
