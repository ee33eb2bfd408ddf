"""Whole sweeps with their store in a bucket: every command, and two runs at once.

Run alone: python -m pytest tests/store/test_bucket_runs.py
"""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from harness.store.latest import latest
from harness.store.store import Store
from tests.bucket_server import BucketServer
from tests.store.planted_secret import SECRET
from tests.store.small_sweep import SWEEP, assert_same_results, exit_code_of, started


@pytest.mark.slow
def test_every_command_works_on_a_store_in_a_bucket(
    bucket: BucketServer,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    uri = bucket.uri("team/rows")
    small = bucket.uri("team/small")

    # run
    (here / "there.yaml").write_text(SWEEP + f"store: {json.dumps(uri)}\n")
    assert exit_code_of(monkeypatch, "run", "there.yaml", "--inline") == 0
    assert exit_code_of(monkeypatch, "run", "small.yaml", "--inline", "--store", "local") == 0
    assert "6 ok, 0 failed, 0 finished before" in capfd.readouterr().out
    remote_rows = Store.open(uri).read().rows
    local_rows = Store.open("local").read().rows
    assert_same_results(remote_rows, local_rows)
    for name in local_rows["weights_file"]:
        assert bucket.get(f"team/rows/{name}") == (here / "local" / name).read_bytes()

    # status
    assert exit_code_of(monkeypatch, "status", uri) == 0
    assert exit_code_of(monkeypatch, "status", "local") == 0
    # Both stores were filled by runs of their own.
    lines = re.sub(r"ended at \S+ \S+", "ended", capfd.readouterr().out).splitlines()
    half = len(lines) // 2
    assert lines[:half] == lines[half:] and "sphere" in "".join(lines)

    # measure
    measure = ("measure", uri, "--inline", "--again", "--points", "16")
    assert exit_code_of(monkeypatch, *measure) == 0
    assert "6 measured, 0 not" in capfd.readouterr().out
    measured = latest(Store.open(uri).read().rows)
    assert len(measured) == 6 and measured["measured_at"].notna().all()
    assert_same_results(measured, latest(remote_rows), "measured_commit", "measurement")

    # report
    assert exit_code_of(monkeypatch, "report", uri) == 0
    assert exit_code_of(monkeypatch, "report", uri, "-o", "here.html") == 0
    out = capfd.readouterr().out
    assert "report: s3://bucket/team/rows/_report.html" in out and "report: here.html" in out
    assert SECRET not in out
    assert "s3://" not in bucket.get("team/rows/_report.html").decode()
    assert "s3://" not in (here / "here.html").read_text()

    # compact
    assert exit_code_of(monkeypatch, "compact", uri, small) == 0
    assert exit_code_of(monkeypatch, "run", "small.yaml", "--inline", "--store", small) == 0
    assert "0 ok, 0 failed, 6 finished before" in capfd.readouterr().out
    pd.testing.assert_frame_equal(latest(Store.open(small).read().rows), measured)

    for name in bucket.names(""):
        assert SECRET.encode() not in bucket.get(name), name


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["disk", pytest.param("bucket", marks=pytest.mark.soak)])
def test_two_runs_into_one_store_at_once_lose_nothing(bucket: BucketServer, here: Path, kind: str):
    where = "rows" if kind == "disk" else bucket.uri("rows")
    other = SWEEP.replace("name: small", "name: other").replace("[4, 8, 12]", "[8, 12, 16]")
    (here / "other.yaml").write_text(other)
    processes = [
        started("run", name, "--inline", "--store", where, cwd=here)
        for name in ("small.yaml", "other.yaml")
    ]
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0 and "0 failed" in out, err

    store = Store.open(where)
    contents = store.read()
    assert contents.problems == [] and contents.rows["status"].eq("ok").all()

    view = latest(contents.rows)
    widths = sorted(json.loads(config)["width"] for config in view["config_json"])
    assert widths == [4, 4, 8, 8, 12, 12, 16, 16]
    assert view["trial_id"].is_unique and len(contents.rows) >= len(view)

    assert sorted(sweep.name for sweep in store.sweeps()) == ["other", "small"]
    assert len(store.runs()) == 2
    assert all(store.files.size(name) for name in view["weights_file"])
    assert not [e for e in store.files.entries() if e.name.startswith("_tmp-")]
