"""Stores, buckets and a folder with a sweep file, for the tests of the store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.store.store import Store
from tests.bucket_server import ENVIRONMENT, BucketServer
from tests.store.planted_secret import SECRET
from tests.store.small_sweep import SWEEP


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "rows")


@pytest.fixture(scope="module")
def credentials() -> Iterator[None]:
    """Credentials of the bucket server in the environment, with SECRET as the secret key."""
    variables = {**ENVIRONMENT, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_MAX_ATTEMPTS": "8"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def server(credentials: None) -> Iterator[BucketServer]:
    with BucketServer() as server:
        yield server


@pytest.fixture
def bucket(server: BucketServer) -> Iterator[BucketServer]:
    """The server with an empty bucket and without trouble."""
    yield server
    server.trouble = lambda: None
    server.files.delete_dir_contents("bucket")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the sweep file small.yaml in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SWEEP)
    return tmp_path
