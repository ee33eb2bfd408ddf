"""`unilaw status` on a million rows: in 4 000 row files, with and without the store's index, and in
one.

python -m tests.benchmarks.status [FOLDER]
"""

import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from harness.dispatch.retries import AttemptHistory
from harness.store.index import IDENTITY
from harness.store.records import SweepRecord
from harness.store.schema import arrow_schema
from harness.store.store import Store
from harness.terminal.status import status

ROWS, FILES, SWEEPS, TASKS = 1_000_000, 4_000, 100, ("sphere", "mnist-mlp", "gpt")
REPEATS = 3


def batch(begin: int, count: int) -> pa.Table:
    """Rows `begin` and on, every column filled: one trial in ten failed, and one in twenty is a
    second attempt of the one before."""
    schema, number = arrow_schema(), np.arange(begin, begin + count)
    again = number % 20 == 19
    identity = number - again
    failed = (number % 10 == 3) | (number % 20 == 18)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    known = {
        "trial_id": [f"{k:016x}" for k in identity],
        "attempt": 1 + again,
        "status": np.where(failed, "failed", "ok"),
        "failure_kind": pa.array(np.where(failed, "crash", ""), mask=~failed),
        "task": [TASKS[k % len(TASKS)] for k in identity],
        "config_json": [json.dumps({"width": int(k), "depth": 2, "lr": 1e-3}) for k in identity],
        "settings_json": ["{}"] * count,
        "environment_json": ["{}"] * count,
        "stop_rule": ["noise"] * count,
        "stop_reason": ["below_noise"] * count,
        "finished_at": [began + timedelta(seconds=int(k)) for k in number],
    }
    random = np.random.default_rng(begin)
    columns = []
    for field in schema:
        if field.name in known:
            columns.append(pa.array(known[field.name]).cast(field.type))
        elif pa.types.is_floating(field.type):
            columns.append(pa.array(random.random(count)))
        elif pa.types.is_integer(field.type):
            columns.append(pa.array(random.integers(1, 3, count)).cast(field.type))
        elif pa.types.is_boolean(field.type):
            columns.append(pa.array(random.integers(0, 2, count).astype(bool)))
        elif pa.types.is_timestamp(field.type):
            columns.append(pa.array([began] * count, field.type))
        elif pa.types.is_string(field.type):
            columns.append(pa.array(["some text"] * count))
        else:
            columns.append(pa.nulls(count, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def write(folder: Path, files: int) -> Store:
    """A store of ROWS rows, with sweeps that asked for all of them and for a thousand more."""
    store, each = Store.create(folder), ROWS // files
    for k in range(files):
        store.append_table(batch(k * each, each))
    ids = [f"{k:016x}" for k in range(ROWS + 1000) if k % 20 != 19]
    for k in range(SWEEPS):
        mine = ids[k * len(ids) // SWEEPS : (k + 1) * len(ids) // SWEEPS]
        asked = {trial_id: TASKS[int(trial_id, 16) % len(TASKS)] for trial_id in mine}
        store.put_sweep(SweepRecord(name=f"s{k}", text="", task_source=None, trials=asked))
    return store


def seconds(work) -> str:
    """The fastest of REPEATS, and the processor's time in it where it is this process's."""
    taken = []
    for _ in range(REPEATS):
        clock, cpu = time.perf_counter(), time.process_time()
        work()
        taken.append((time.perf_counter() - clock, time.process_time() - cpu))
    wall, cpu = min(taken)
    return f"{wall:.2f} s ({cpu:.2f} s of processor time)"


def main() -> None:
    unilaw = str(Path(sysconfig.get_path("scripts")) / "unilaw")
    home = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    try:
        for files, indexed in ((FILES, True), (FILES, False), (1, False)):
            folder = home / f"rows-{files}"
            if not folder.exists():
                write(folder, files)
            if not indexed:
                shutil.rmtree(folder / "_index", ignore_errors=True)
            name = f"{ROWS} rows, {files} files, {'with' if indexed else 'without'} its index"
            print(
                f"{name}: status() {seconds(lambda folder=folder: status(Store.open(folder)))}",
                flush=True,
            )
            command = [unilaw, "status", str(folder)]
            print(
                f"{name}: the command"
                f" {seconds(lambda c=command: subprocess.run(c, check=True, capture_output=True))}",
                flush=True,
            )
            took = seconds(lambda at=folder: AttemptHistory.of(Store.open(at).read(IDENTITY).rows))
            print(f"{name}: AttemptHistory {took}", flush=True)
            print(
                f"{name}: set_torn_aside()"
                f" {seconds(lambda folder=folder: Store.open(folder).set_torn_aside())}",
                flush=True,
            )
    finally:
        if len(sys.argv) == 1:
            shutil.rmtree(home)


if __name__ == "__main__":
    main()
