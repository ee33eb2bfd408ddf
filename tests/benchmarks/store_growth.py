"""What a store looks like as trials come in: files, bytes, and what `unilaw status` takes, from a
disk and from a bucket, before and after `unilaw compact`.

python -m tests.benchmarks.store_growth STORE

STORE holds real rows, which are written again under other ids: as many to a file as STORE has on
average, or one by one, as trials do that train alone. The bucket is moto's on loopback, in this
process: its requests are those of a true one, its seconds are not.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from harness.store.compact import compact
from harness.store.records import SweepRecord
from harness.store.schema import arrow_schema
from harness.store.store import Store
from harness.terminal.status import status
from tests.bucket_server import ENVIRONMENT, BucketServer

A_JOB = 1_000
"""Trials of one job."""

A_MONTH = 30_000
"""Trials of a month, at a job a day."""


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


def fill(store: Store, rows: pa.Table, begin: int, end: int, each: int) -> None:
    """Append trials `begin` to `end`, `each` to a file, under ids of their own."""
    at = rows.schema.get_field_index("trial_id")
    for first in range(begin, end, each):
        numbers = range(first, min(first + each, end))
        part = rows.take([number % rows.num_rows for number in numbers])
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
    of_pandas = seconds(lambda: pd.read_parquet(folder))
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
            print(
                f"bucket, {per_file} to a file, {end} of {A_JOB} trials: written with"
                f" {written} requests since; first status {looks[0]}; the next look of --watch"
                f" {looks[1]}; {sum(task.done for task in found.tasks)} done",
                flush=True,
            )


def main() -> None:
    source = Store.open(sys.argv[1])
    rows = rows_of(source)
    per_file = round(rows.num_rows / len(source.row_file_names()))
    row_kb = sum(f.stat().st_size for f in Path(source.where).glob("part-*.parquet")) / 1e3
    weights, weights_mb = megabytes(Path(source.where), "_weights/*")
    pictures, pictures_mb = megabytes(Path(source.where), "_pictures/*")
    print(
        f"{source}: {rows.num_rows} rows, {per_file} to a file, {row_kb / rows.num_rows:.1f} kB a"
        f" row; weights of {weights} trials, {weights_mb:.1f} MB; {pictures} pictures,"
        f" {pictures_mb:.1f} MB",
        flush=True,
    )
    print(cost_of_a_loss(batch_seconds(Path(source.where))), flush=True)
    with tempfile.TemporaryDirectory() as home:
        for trials in (A_JOB, A_MONTH):
            on_disk(rows, per_file, trials, Path(home))
        on_disk(rows, 1, A_JOB, Path(home))
    in_a_bucket(rows, per_file)
    in_a_bucket(rows, 1)


if __name__ == "__main__":
    main()
