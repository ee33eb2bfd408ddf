"""What a store looks like as trials come in: files, bytes, and what `unilaw status` takes, from a
disk and from a bucket, before and after `unilaw compact`.

python -m tests.benchmarks.store_growth STORE [store|job|month|alone|bucket]

STORE holds the real rows of a run, compacted or not. They are written again as the run wrote them,
a file for each batch: a batch's trials share their `started_at`. Larger stores repeat them under
other ids and with other last digits: as many to a file as a batch had on average, or one by one, as
trials do that train alone.

Seconds are the processor's, so that other work on the machine does not count. The bucket is moto's
on loopback, in this process: its requests are those of a true one, its seconds are not.
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


def put_batches(store: Store, rows: pa.Table) -> None:
    """Append the rows as the run did, one file for each batch."""
    for began in rows["started_at"].unique():
        of_batch = pc.call_function("equal", [rows["started_at"], began])
        store.append_table(rows.filter(of_batch))


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
    """Return the processor seconds of the fastest of three."""
    taken = []
    for _ in range(3):
        clock = time.process_time()
        work()
        taken.append(time.process_time() - clock)
    return min(taken)


def megabytes(folder: Path, pattern: str) -> tuple[int, float]:
    """Return how many files there are, and their bytes together, in MB."""
    sizes = [path.stat().st_size for path in folder.glob(pattern)]
    return len(sizes), sum(sizes) / 1e6


def describe(folder: Path, name: str) -> None:
    files, rows_mb = megabytes(folder, "part-*.parquet")
    index_files, index_mb = megabytes(folder, "_index/*")
    of_status = seconds(lambda: status(Store.open(folder)))
    clock = time.process_time()
    pd.read_parquet(folder)
    of_pandas = time.process_time() - clock
    print(
        f"{name}: {files} row files, {rows_mb:.1f} MB; index {index_files} files,"
        f" {index_mb:.2f} MB; status {of_status:.2f} s; pandas reads all rows in {of_pandas:.2f} s",
        flush=True,
    )


def batch_seconds(rows: pa.Table) -> list[float]:
    """Return the seconds that each batch took."""
    return rows.to_pandas().groupby("started_at")["wall_s"].sum().tolist()


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
    clock = time.process_time()
    compact(folder, home / f"{folder.name}-compacted")
    took = time.process_time() - clock
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
                found = status(opened)
                looks.append(f"{requests[0]} requests")
                ended = sum(task.done + task.failed.total() for task in found.tasks)
                assert ended == end
            print(
                f"bucket, {per_file} to a file, {end} of {A_JOB} trials: written with"
                f" {written} requests since; first status {looks[0]}; the next look of --watch"
                f" {looks[1]}",
                flush=True,
            )


def describe_source(rows: pa.Table, home: Path) -> None:
    """Print what the run's store held, what losing a worker in it would have cost, and what it
    takes once compacted."""
    put_batches(Store.create(home / "run"), rows)
    describe(home / "run", f"{rows.num_rows} trials, as the run wrote them")
    compact(home / "run", home / "compacted")
    describe(home / "compacted", "the same, compacted")
    print(cost_of_a_loss(batch_seconds(rows)), flush=True)

    frame = rows.to_pandas()
    kept = frame[frame["weights_file"].notna()]
    weights_mb = 4 * (kept["p"] + kept["p_frozen"].fillna(0)).sum() / 1e6
    print(f"weights of {len(kept)} trials: {weights_mb:.1f} MB by their parameters", flush=True)


def main() -> None:
    rows = rows_of(Store.open(sys.argv[1]))
    per_file = round(rows.num_rows / len(batch_seconds(rows)))
    parts = {
        "store": lambda home: describe_source(rows, home),
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
