"""What a store looks like as trials come in: files, bytes, and what `unilaw status` takes, from a
disk and from a bucket, before and after `unilaw compact`.

python -m tests.benchmarks.store_growth STORE [store|job|month|alone|bucket]

STORE holds real rows, which are written again under other ids and with other last digits: as many
to a file as STORE has on average, or one by one, as trials do that train alone. The bucket is
moto's on loopback, in this process: its requests are those of a true one, its seconds are not.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from harness.store.compact import compact
from harness.store.records import SweepRecord
from harness.store.schema import arrow_schema
from harness.store.store import Store
from harness.terminal.status import status
from tests.bucket_server import ENVIRONMENT, BucketServer

A_JOB = 1_000
"""Trials of one job."""

A_MONTH = 10_000
"""Trials of a month, at ten jobs."""


def rows_of(source: Store) -> pa.Table:
    """Return the store's rows as a table of today's schema."""
    table = pa.Table.from_pandas(source.read().rows, preserve_index=False)
    schema = arrow_schema()
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def other_digits(column: pa.ChunkedArray, dice: np.random.Generator) -> pa.ChunkedArray:
    """Return the column with other last digits where it holds real numbers: equal rows would take
    hardly any room in one file."""
    if not pa.types.is_floating(column.type):
        return column
    factor = 1 + 1e-9 * dice.standard_normal(len(column))
    return pc.call_function("multiply", [column, pa.array(factor)])


def fill(store: Store, rows: pa.Table, begin: int, end: int, each: int) -> None:
    """Append trials `begin` to `end`, `each` to a file, under ids of their own."""
    at = rows.schema.get_field_index("trial_id")
    for first in range(begin, end, each):
        numbers = range(first, min(first + each, end))
        dice = np.random.default_rng(first)
        part = rows.take([number % rows.num_rows for number in numbers])
        part = pa.Table.from_arrays(
            [other_digits(column, dice) for column in part.columns], schema=rows.schema
        )
        ids = pa.array([f"{number:016x}" for number in numbers])
        store.append_table(part.set_column(at, rows.schema.field("trial_id"), ids))


def ask(store: Store, trials: int) -> None:
    """Keep a sweep that asked for the trials."""
    asked = {f"{number:016x}": "sphere" for number in range(trials)}
    store.put_sweep(SweepRecord(name="job", text="", task_source=None, trials=asked))


def seconds(work: Callable[[], object]) -> float:
    """Return the fastest of three."""
    taken = []
    for _ in range(3):
        clock = time.perf_counter()
        work()
        taken.append(time.perf_counter() - clock)
    return min(taken)


def megabytes(folder: Path, pattern: str) -> tuple[int, float]:
    """Return how many files there are, and their bytes together, in MB."""
    sizes = [path.stat().st_size for path in folder.glob(pattern)]
    return len(sizes), sum(sizes) / 1e6


def describe(folder: Path, name: str) -> None:
    files, rows_mb = megabytes(folder, "part-*.parquet")
    index_files, index_mb = megabytes(folder, "_index/*")
    of_status = seconds(lambda: status(Store.open(folder)))
    clock = time.perf_counter()
    pd.read_parquet(folder)
    of_pandas = time.perf_counter() - clock
    print(
        f"{name}: {files} row files, {rows_mb:.1f} MB; index {index_files} files,"
        f" {index_mb:.2f} MB; status {of_status:.2f} s; pandas reads all rows in {of_pandas:.2f} s",
        flush=True,
    )


def batch_seconds(folder: Path) -> list[float]:
    """Return the seconds that each batch took: a row file holds the trials of one, except those
    that were run again."""
    files = sorted(folder.glob("part-*.parquet"))
    return [float(pd.read_parquet(file, columns=["wall_s"])["wall_s"].sum()) for file in files]


def cost_of_a_loss(batches: list[float]) -> str:
    """Return what a worker's loss costs, at a moment that is drawn at random: the longer a batch
    is, the likelier it is hit, and on average half of it is done."""
    lost = sum(s * s for s in batches) / 2 / sum(batches)
    return (
        f"{len(batches)} batches of {min(batches):.1f} to {max(batches):.1f} s,"
        f" {sum(batches):.0f} s in all; losing a worker without its checkpoints costs {lost:.1f} s"
        f" on average, {lost / sum(batches):.1%} of the work, and at most {max(batches):.1f} s"
    )


def on_disk(rows: pa.Table, per_file: int, trials: int, home: Path) -> None:
    folder = home / f"{per_file}-{trials}"
    store = Store.create(folder)
    ask(store, trials)
    fill(store, rows, 0, trials, per_file)
    describe(folder, f"{trials} trials, {per_file} to a file")
    clock = time.perf_counter()
    compact(folder, home / f"{folder.name}-compacted")
    took = time.perf_counter() - clock
    describe(home / f"{folder.name}-compacted", f"the same, compacted in {took:.1f} s")


def in_a_bucket(rows: pa.Table, per_file: int) -> None:
    os.environ.update(ENVIRONMENT)
    with BucketServer() as server:
        requests = [0]

        def count() -> None:
            requests[0] += 1

        server.trouble = count
        store = Store.create(server.uri("job"))
        ask(store, A_JOB)
        begin = 0
        for end in (0, A_JOB // 4, A_JOB // 2, A_JOB):
            requests[0] = 0
            fill(store, rows, begin, end, per_file)
            written = requests[0]
            begin = end

            opened = Store.open(server.uri("job"))
            looks = []
            for _ in range(2):
                requests[0] = 0
                clock = time.perf_counter()
                found = status(opened)
                looks.append(f"{requests[0]} requests, {time.perf_counter() - clock:.2f} s")
                ended = sum(task.done + task.failed.total() for task in found.tasks)
                assert ended == end
            print(
                f"bucket, {per_file} to a file, {end} of {A_JOB} trials: written with"
                f" {written} requests since; first status {looks[0]}; the next look of --watch"
                f" {looks[1]}",
                flush=True,
            )


def describe_source(source: Store, rows: int, per_file: int) -> None:
    """Print what the real store holds, what losing a worker in it would have cost, and what it
    takes once compacted."""
    folder = Path(source.where)
    row_kb = sum(f.stat().st_size for f in folder.glob("part-*.parquet")) / 1e3
    weights, weights_mb = megabytes(folder, "_weights/*")
    pictures, pictures_mb = megabytes(folder, "_pictures/*")
    print(
        f"{source}: {rows} rows, {per_file} to a file, {row_kb / rows:.1f} kB a row; weights of"
        f" {weights} trials, {weights_mb:.1f} MB; {pictures} pictures, {pictures_mb:.1f} MB",
        flush=True,
    )
    print(cost_of_a_loss(batch_seconds(folder)), flush=True)
    with tempfile.TemporaryDirectory() as home:
        compact(folder, Path(home) / "compacted")
        describe(Path(home) / "compacted", "the same, compacted")


def main() -> None:
    source = Store.open(sys.argv[1])
    rows = rows_of(source)
    per_file = round(rows.num_rows / len(source.row_file_names()))
    parts = {
        "store": lambda home: describe_source(source, rows.num_rows, per_file),
        "job": lambda home: on_disk(rows, per_file, A_JOB, home),
        "month": lambda home: on_disk(rows, per_file, A_MONTH, home),
        "alone": lambda home: on_disk(rows, 1, A_JOB, home),
        "bucket": lambda home: in_a_bucket(rows, per_file),
    }
    for part in sys.argv[2:] or parts:
        with tempfile.TemporaryDirectory() as home:
            parts[part](Path(home))


if __name__ == "__main__":
    main()
