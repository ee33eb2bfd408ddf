"""Buckets whose server fails, stays silent, cuts answers off or is not there.

Run alone: python -m pytest tests/store/test_bucket_trouble.py
"""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.errors import UserError
from harness.store import bucket as bucket_module
from harness.store.bucket import Bucket
from harness.store.latest import latest
from harness.store.location import folder_at
from harness.store.store import Store
from tests.bucket_server import BucketServer, Every
from tests.store.small_sweep import SWEEP, exit_code_of

pytestmark = pytest.mark.usefixtures("credentials")

NOBODY = "endpoint_override=127.0.0.1:9&scheme=http"
"""Options of an address where no server listens."""


@pytest.mark.slow
def test_a_run_through_a_server_that_fails_now_and_then_loses_no_row(
    bucket: BucketServer,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    """Every fifth request gets 500 or 503, or waits."""
    trouble = Every(5, "500", "SlowDown", "wait", wait_s=0.5)
    bucket.trouble = trouble
    command = ("run", "small.yaml", "--inline", "--store", bucket.uri("rows"))
    assert exit_code_of(monkeypatch, *command) == 0
    out, err = capfd.readouterr()
    assert "6 ok, 0 failed" in out and "Traceback" not in err
    assert set(trouble.met) == {"500", "SlowDown", "wait"}

    bucket.trouble = lambda: None
    store = Store.open(bucket.uri("rows"))
    rows, problems = store.read()
    assert problems == []
    assert len(rows) == 6 and rows["status"].eq("ok").all()
    assert sorted(rows["weights_file"]) == store.files.matching("_weights", "*")


@pytest.mark.slow
def test_a_server_that_stays_silent_is_asked_again(
    bucket: BucketServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bucket_module, "SILENT_S", 1.0)
    bucket_module.file_system.cache_clear()
    trouble = Every(2, "wait", wait_s=2.5)
    bucket.trouble = trouble
    folder = folder_at(bucket.uri("rows"))
    folder.put("a", b"content")
    assert folder.get("a") == b"content" and folder.size("a") == 7
    assert trouble.met["wait"] >= 1
    bucket_module.file_system.cache_clear()


@pytest.mark.slow
def test_an_answer_that_is_cut_off_is_asked_for_again(
    bucket: BucketServer, monkeypatch: pytest.MonkeyPatch
):
    folder = folder_at(bucket.uri("rows"))
    assert isinstance(folder, Bucket)
    folder.put("a", b"content")

    real = folder.file_system
    cut_off = [1, 2]
    requests: list[str] = []

    class CutOff:
        """Arrow's file system, whose answers end early as often as `cut_off` has items."""

        def open_input_file(self, name: str):
            requests.append(name)
            if cut_off:
                raise OSError(
                    "AWS Error INTERNAL_FAILURE during GetObject operation:"
                    f" {bucket_module.CUT_OFF} (try {cut_off.pop()})"
                )
            return real.open_input_file(name)

    monkeypatch.setattr(Bucket, "file_system", CutOff())
    assert folder.get("a") == b"content" and len(requests) == 3

    cut_off += range(99)
    with pytest.raises(UserError, match="Failed to flush response stream"):
        folder.get("a")
    assert len(requests) == 3 + bucket_module.READS


@pytest.mark.slow
def test_a_server_that_stays_down_ends_the_run_in_one_sentence_and_the_same_command_goes_on(
    bucket: BucketServer,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    bucket_module.file_system.cache_clear()
    (here / "small.yaml").write_text(SWEEP.replace("limits: {", "limits: {weights_mb: 0.0001, "))
    command = ("run", "small.yaml", "--inline", "--store", bucket.uri("rows"))

    row_files: list[str] = []
    append = Store.append

    def append_and_note(store: Store, rows: list[dict[str, Any]]) -> str:
        row_files.append(append(store, rows))
        return row_files[-1]

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", append_and_note)
        bucket.trouble = lambda: "SlowDown" if row_files else None
        assert exit_code_of(patch, *command) == 2
    _, err = capfd.readouterr()
    (message,) = [line for line in err.splitlines() if line.startswith("unilaw: ")]
    assert "cannot be" in message and "SLOW_DOWN" in message
    assert "run the same command again to continue" in message
    assert "Traceback" not in err

    bucket.trouble = lambda: None
    assert len(row_files) == 1
    assert len(pd.read_parquet(bucket.uri("rows"))) > 0
    assert bucket.names("rows/_tmp") == []
    assert exit_code_of(monkeypatch, *command) == 0
    assert latest(Store.open(bucket.uri("rows")).read().rows)["status"].eq("ok").sum() == 6
    bucket_module.file_system.cache_clear()


def assert_one_sentence(err: str, where: str) -> None:
    assert err.count("\n") == 1, err
    assert err.startswith(f"unilaw: the store '{where}' cannot be read: "), err
    assert "connect" in err.lower(), err


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [("run", "small.yaml", "--inline", "--store"), ("status",), ("measure",), ("report",)],
    ids=lambda c: c[0],
)
def test_a_server_that_is_not_there_is_named_in_one_sentence(
    command: tuple[str, ...],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    bucket_module.file_system.cache_clear()
    where = f"s3://bucket/rows?{NOBODY}&region=us-east-1"
    assert exit_code_of(monkeypatch, *command, where) == 2
    assert_one_sentence(capfd.readouterr().err, where)
    assert [p.name for p in here.iterdir()] == ["small.yaml"]
    bucket_module.file_system.cache_clear()


@pytest.mark.slow
def test_google_that_is_not_there_is_named_in_one_sentence(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    where = f"gs://anonymous@bucket/rows?{NOBODY}&retry_limit_seconds=1"
    assert exit_code_of(monkeypatch, "run", "small.yaml", "--inline", "--store", where) == 2
    assert_one_sentence(capfd.readouterr().err, where)
