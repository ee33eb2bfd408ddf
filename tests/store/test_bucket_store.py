"""A store in a bucket holds what a store on a disk holds.

Run alone: python -m pytest tests/store/test_bucket_store.py
"""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.errors import UserError
from harness.execution.run_batch import run_batch
from harness.store.compact import compact
from harness.store.location import read_kept
from harness.store.records import RunRecord, SweepRecord
from harness.store.store import Store
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings
from harness.training import checkpoint as checkpoint_module
from tests.bucket_server import BucketServer
from tests.store.rows import NOON, full_row, row
from tests.store.small_sweep import TIMES


def filled(store: Store) -> Store:
    """Put two row files and one file of every other kind into a store."""
    store.append([full_row("a"), row("b", status="failed", failure_kind="crash")])
    store.append([row("b", attempt=2, p=3)])
    store.put_weights("a", b"weights")
    store.put_pictures("a", b"picture")
    store.put_sweep(
        SweepRecord(name="s", text="name: s\n", task_source="source", trials={"a" * 16: "toy"})
    )
    store.put_run(
        RunRecord(sweep="s", began=NOON, inline=False, trials=3, forecast_s=1.5, seconds=2.5)
    )
    return store


def by_attempt(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["trial_id", "attempt"], ignore_index=True)


@pytest.mark.slow
def test_it_holds_what_a_local_one_holds_and_pandas_reads_it(bucket: BucketServer, tmp_path: Path):
    uri = bucket.uri("deep/rows")
    local = filled(Store.create(tmp_path / "rows"))
    filled(Store.create(uri))
    remote = Store.open(uri)

    assert remote.read().problems == []
    local_rows = by_attempt(local.read().rows)
    pd.testing.assert_frame_equal(by_attempt(remote.read().rows), local_rows)
    pd.testing.assert_frame_equal(by_attempt(pd.read_parquet(uri)), local_rows)
    assert remote.sweeps() == local.sweeps()
    assert remote.runs() == local.runs()
    assert read_kept(remote.weights(), "a") == b"weights"
    assert remote.name == "rows"

    local_files = sorted(p.name for p in (tmp_path / "rows" / "_sweeps").iterdir())
    assert [entry.name for entry in remote.files.entries("_sweeps")] == local_files


@pytest.mark.slow
@pytest.mark.parametrize("route", ["bucket to bucket", "bucket to disk", "disk to bucket"])
def test_compact(bucket: BucketServer, tmp_path: Path, route: str):
    origin, destination = route.split(" to ")
    source = bucket.uri("x/a") if origin == "bucket" else tmp_path / "a"
    target = bucket.uri("x/b") if destination == "bucket" else tmp_path / "b"
    store = filled(Store.create(source))

    assert compact(source, target) == (2, 3, 2)
    small = Store.open(target)
    pd.testing.assert_frame_equal(by_attempt(small.read().rows), by_attempt(store.read().rows))
    assert small.sweeps() == store.sweeps()
    assert small.runs() == store.runs()
    assert read_kept(small.weights(), "a") == b"weights"
    assert small.files.get("_pictures/a.png") == b"picture"
    assert len([e for e in small.files.entries() if e.name.startswith("part-")]) == 1

    with pytest.raises(UserError, match="exists; compact writes a new store"):
        compact(source, target)


@pytest.mark.slow
def test_a_prefix_that_holds_other_things_is_refused(bucket: BucketServer):
    bucket.put("thesis/chapter.tex", b"years of work")
    with pytest.raises(UserError, match="is not empty and not a unilaw store"):
        Store.create(bucket.uri("thesis"))
    with pytest.raises(UserError, match="is not a unilaw store"):
        Store.open(bucket.uri("thesis"))
    with pytest.raises(UserError, match="there is no store"):
        Store.open(bucket.uri("nothing"))
    assert bucket.names("") == ["thesis/chapter.tex"]


@pytest.mark.slow
def test_a_torn_object_is_named_and_set_aside(bucket: BucketServer):
    store = Store.create(bucket.uri("rows"))
    store.append([row("good")])
    whole = bucket.get(f"rows/{store.append([row('torn')])}")
    bucket.put("rows/part-torn.parquet", whole[: len(whole) // 2])

    (problem,) = store.read().problems
    assert problem.startswith("part-torn.parquet: is torn")
    (sentence,) = store.set_torn_aside()
    assert "moved to s3://bucket/rows/_set_aside/part-torn.parquet.torn" in sentence
    assert store.read().problems == [] and len(pd.read_parquet(bucket.uri("rows"))) == 2


@pytest.mark.slow
def test_checkpoints_lie_in_the_bucket_and_training_goes_on_from_them(
    bucket: BucketServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checkpoint_module, "EVERY_S", 0.0)
    store = Store.create(bucket.uri("rows"))
    sweep = parse_sweep(
        "name: a\nseeds: [0]\ntasks:\n  - {task: sphere, fixed: {n: 32, d: 4, stop: epochs,"
        " max_epochs: 5}}\n",
        "a.yaml",
    )
    trial_id = sweep.trials[0].trial_id

    def trained(checkpoints: str | None) -> dict[str, Any]:
        settings = RunSettings(
            cpus=1,
            gpus=0,
            seconds=60,
            weights_bytes=10**6,
            measure_points=8,
            checkpoints=checkpoints,
        )
        (result,) = run_batch(Batch((sweep.trials,)), settings)
        columns = {k: value for k, value in result.columns.items() if k not in TIMES}
        return columns | {"weights": result.weights}

    whole = trained(None)
    assert trained(store.checkpoints()) == whole
    assert [e.name for e in store.files.entries("_checkpoints")] == [f"{trial_id}.safetensors"]
    assert trained(store.checkpoints()) == {**whole, "resumed_epoch": 4}

    bucket.put(f"rows/_checkpoints/{trial_id}.safetensors", b"torn")
    assert trained(store.checkpoints()) == whole, "training starts from the beginning"

    store.drop_checkpoints(["f" * 16])
    assert len(store.files.entries("_checkpoints")) == 1
    store.drop_checkpoints([trial_id])
    assert store.files.entries("_checkpoints") == [] and store.read().problems == []
