"""Fixtures of the tests of task `text`."""

import pytest

from tests.tasks.random_texts import write_texts


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a source of a hundred documents of random words."""
    return write_texts(tmp_path_factory.mktemp("texts"))
