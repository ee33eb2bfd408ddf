"""Rows that no run can have written are named in one sentence and left out, for every command.

Run alone: python -m pytest tests/store/test_valid_rows.py
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.execution.run_batch import refuse_impossible
from harness.execution.trial_result import TrialResult
from harness.store.compact import compact
from harness.store.index import IDENTITY
from harness.store.schema import SCHEMA_VERSION, arrow_schema
from harness.store.store import Store
from harness.store.valid_rows import faults_of
from tests import ROOT
from tests.store.rows import FAILED, full_row, names, row

DEEP = '{"a":' * 5000 + "1" + "}" * 5000

IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "empty": ({"config_json": ""}, "config_json is ''; allowed: a JSON object"),
    "NUL": ({"config_json": "\x00"}, "config_json is '\\x00'; allowed: a JSON object"),
    "markup": ({"config_json": "<b>"}, "config_json is '<b>'; allowed: a JSON object"),
    "a list": ({"config_json": "[1]"}, "config_json is '[1]'; allowed: a JSON object"),
    "deep": ({"config_json": DEEP}, 'config_json is \'{"a":{"a":'),
    "infinite": ({"settings_json": '{"n": 1e999}'}, "settings_json is "),
    "family": ({"family": None}, "family is None; allowed: a value in every row that is ok"),
    "status": ({"status": "maybe"}, "status is 'maybe'; allowed: ok, failed"),
    "kind": ({**FAILED, "failure_kind": "bad"}, "failure_kind is 'bad'; allowed: oom, nan"),
    "stop": ({"stop_rule": "never"}, "stop_rule is 'never'; allowed: noise, interpolate, epochs"),
    "p": ({"p": -5}, "p is -5; allowed: 0 or more"),
    "attempt": ({"attempt": 0}, "attempt is 0; allowed: 1 or more"),
    "accuracy": ({"test_accuracy": 5.0}, "test_accuracy is 5.0; allowed: 0 to 1"),
    "a list's share": ({"noise_accuracy": [0.5, -1.0]}, "noise_accuracy is [0.5, -1.0]"),
    "seconds": ({"wall_s": -1.0}, "wall_s is -1.0; allowed: 0 or more"),
    "version": (
        {"schema_version": SCHEMA_VERSION + 1},
        f"schema_version is {SCHEMA_VERSION + 1}; allowed: 1 to {SCHEMA_VERSION}",
    ),
    "long ago": ({"finished_at": datetime(1, 1, 1, tzinfo=UTC)}, "finished_at is datetime"),
}
"""Changes to a row, and how the sentence about it goes on."""


@pytest.mark.slow
@pytest.mark.parametrize(("changes", "said"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_an_impossible_row_is_named_and_left_out(store: Store, changes: dict[str, Any], said: str):
    name = store.append([row("good"), row("bad", **changes), full_row()])
    for columns in (None, IDENTITY, ["trial_id"]):
        contents = store.read(columns)
        assert contents.rows["trial_id"].tolist() == ["good", "full"]
        (problem,) = contents.problems
        start = f"{name}: holds 1 row that no run writes, left out: trial 'bad' ({said}"
        assert problem.startswith(start)
    assert store.set_torn_aside() == [], "the other rows of the file stay"


def test_a_time_that_no_calendar_holds_is_named(store: Store):
    table = pa.Table.from_pylist([row("good"), row("bad")], schema=arrow_schema())
    times = pa.array([0, 2**62], pa.int64()).cast(table["finished_at"].type)
    position = table.schema.get_field_index("finished_at")
    table = table.set_column(position, table.schema.field(position), times)
    pq.write_table(table, Path(store.where) / "part-0.parquet")

    contents = store.read()
    assert contents.rows["trial_id"].tolist() == ["good"]
    assert "trial 'bad' (finished_at is beyond any calendar; allowed: 1970" in contents.problems[0]


def test_a_null_where_every_row_has_a_value_is_named(store: Store):
    nullable = pa.schema([field.with_nullable(True) for field in arrow_schema()])
    rows = [row("good"), row("bad", config_json=None), row("worse", finished_at=None)]
    pq.write_table(pa.Table.from_pylist(rows, nullable), Path(store.where) / "part-0.parquet")
    contents = store.read()
    assert contents.rows["trial_id"].tolist() == ["good"]
    assert "'bad' (config_json is None; allowed: a value in every row)" in contents.problems[0]
    assert "'worse' (finished_at is None" in contents.problems[0]


def test_a_sentence_names_three_rows_and_counts_the_others(store: Store):
    store.append([row(str(k), p=-1) for k in range(5)])
    (problem,) = store.read().problems
    assert "5 rows" in problem and "trial '2'" in problem and "trial '3'" not in problem
    assert problem.endswith("and 2 more")


def test_such_rows_are_named_whatever_is_indexed_and_compaction_keeps_them(
    store: Store, tmp_path: Path
):
    store.append([row("good"), row("bad", p=-1)])
    store.append([row("other")])
    store.set_torn_aside()
    store.index()
    assert len(store.read(IDENTITY).problems) == 1

    assert compact(store.where, tmp_path / "small") == (2, 3, 1)
    small = Store.open(tmp_path / "small")
    assert len(small.read(IDENTITY).problems) == len(small.read().problems) == 1
    assert len(pd.read_parquet(tmp_path / "small")) == 3


@pytest.mark.parametrize("example", sorted((ROOT / "reports/examples").iterdir()), ids=str)
def test_rows_that_runs_wrote_pass(example: Path):
    for file in example.glob("part-*.parquet"):
        table = pq.read_table(file, schema=arrow_schema())
        assert table.num_rows and faults_of(table) == {}


def test_a_trial_with_impossible_figures_is_a_bug_and_no_row_that_is_left_out():
    good = TrialResult(
        {"status": "ok", "eta": 0.5, "p": 3, "noise_accuracy": [0.1, 1.0], "n": None}
    )
    assert refuse_impossible([good]) == [good]
    for figures in ({"eta": 5.0}, {"p": -1}, {"noise_accuracy": [0.1, 1.5]}):
        bad = good._replace(columns=good.columns | figures)
        kept, refused = refuse_impossible([good, bad])
        assert kept == good
        assert refused.failure_kind == "bug"
        message = refused.columns["failure_message"]
        assert message.startswith(f"the row cannot hold {next(iter(figures))} = ")


def test_a_folder_or_a_link_in_a_row_files_place_is_named(store: Store):
    folder = Path(store.where)
    store.append([row("a")])
    (folder / "part-1.parquet").mkdir()
    (folder / "part-2.parquet").symlink_to("part-2.parquet")
    (folder / "part-3.parquet").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    (folder / "_sweeps").mkdir()
    (folder / "_sweeps" / "s.json").symlink_to("s.json")

    contents = store.read(IDENTITY)
    assert contents.rows["trial_id"].tolist() == ["a"]
    places = sorted(problem.split(":")[0] for problem in contents.problems)
    assert places == [
        "_sweeps/s.json",
        "loop",
        "part-1.parquet",
        "part-2.parquet",
        "part-3.parquet",
    ]
    assert "part-1.parquet" in names(folder)
