"""`unilaw measure` trusts neither weights that changed in the store nor a clock that was ahead, and
reads no more than it needs.

Run alone: python -m pytest tests/test_remeasure_damage.py
"""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.store.latest import latest
from harness.store.schema import MEASURES_VERSION, arrow_schema
from harness.store.store import IDENTITY, Contents, Store
from tests.store.small_sweep import SWEEP, exit_code_of

pytestmark = pytest.mark.slow

INLINE = ("--inline", "--points", "16")
"""Sensitivity is measured on as many points as in the sweep."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of six finished trials."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.yaml").write_text(SWEEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert exit_code_of(patch, "run", "small.yaml", "--inline", "--store", "rows") == 0
    return folder / "rows"


@pytest.fixture
def store(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "rows"))


def rows(folder: Path) -> pd.DataFrame:
    return latest(Store.open(folder).read().rows).set_index("trial_id")


def test_weights_that_are_not_the_trials_own_fail_it_by_name(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    before = rows(store)
    assert before["weights_sha256"].notna().all()
    one, other = before.index[before["p"] == before["p"].max()]
    third = before.index[before["p"] == before["p"].min()][0]

    folder = store / "_weights"
    (folder / f"{one}.safetensors").rename(folder / "_")
    (folder / f"{other}.safetensors").rename(folder / f"{one}.safetensors")
    (folder / "_").rename(folder / f"{other}.safetensors")
    cast = {k: t.to(torch.int8) for k, t in load_file(folder / f"{third}.safetensors").items()}
    save_file(cast, folder / f"{third}.safetensors")

    assert exit_code_of(monkeypatch, "measure", str(store), *INLINE, "--again") == 1
    said = capsys.readouterr()
    assert "3 measured, 3 not (3 weights)" in said.out
    for trial in (one, other, third):
        file = f"_weights/{trial}.safetensors"
        assert f"{file} does not hold the weights that it was trained to" in said.err
    after = rows(store).loc[before.index]
    measured_again = after["measured_at"].notna()
    assert sorted(after.index[~measured_again]) == sorted([one, other, third])


def test_rows_of_a_clock_that_was_ahead_stand_behind_new_measurements(
    store: Path, monkeypatch: pytest.MonkeyPatch
):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for file in store.glob("part-*.parquet"):
        table = pq.read_table(file, schema=arrow_schema())
        position = table.schema.get_field_index("finished_at")
        times = pa.array([tomorrow] * table.num_rows, pa.timestamp("us", tz="UTC"))
        field = table.schema.field(position)
        pq.write_table(table.set_column(position, field, times), file)
    shutil.rmtree(store / "_index", ignore_errors=True)

    assert exit_code_of(monkeypatch, "measure", str(store), *INLINE, "--again") == 0
    assert rows(store)["measured_at"].notna().all()


def test_with_nothing_to_do_only_a_few_columns_are_read(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    asked: list[Sequence[str] | None] = []
    read = Store.read

    def read_and_note(self: Store, columns: Sequence[str] | None = None) -> Contents:
        asked.append(columns)
        return read(self, columns)

    monkeypatch.setattr(Store, "read", read_and_note)
    assert exit_code_of(monkeypatch, "measure", str(store), *INLINE) == 0
    assert "0 measured, 0 not, 6 up to date, 0 without kept weights" in capsys.readouterr().out
    assert asked == [IDENTITY]


def test_rows_of_before_there_were_checksums_are_measured(
    store: Path, monkeypatch: pytest.MonkeyPatch
):
    for file in store.glob("part-*.parquet"):
        table = pq.read_table(file, schema=arrow_schema())
        position = table.schema.get_field_index("measures_version")
        older = pa.array([MEASURES_VERSION - 1] * table.num_rows, pa.int32())
        table = table.set_column(position, table.schema.field(position), older)
        pq.write_table(table.drop_columns(["weights_sha256"]), file)
    shutil.rmtree(store / "_index", ignore_errors=True)
    assert exit_code_of(monkeypatch, "measure", str(store), *INLINE) == 0
    assert rows(store)["measures_version"].eq(MEASURES_VERSION).all()
