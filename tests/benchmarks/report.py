"""`unilaw report` on stores of up to 100 000 rows in 10 000 cells: the seconds of each part, the
highest memory, and how both grow with the rows. Where there is a Chromium, also the seconds until
the page is loaded and until its table answers a key.

    make bench
    .venv/bin/python -m tests.benchmarks.report [--rows N ...]

Ten seeds a cell, five sizes a curve, two kinds of model; n, d and the learning rate vary between
curves. Every row has forty corruptions and four pictured changes. Each report is made in a process
of its own. An exponent of 1 means that twice the rows take twice as much.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from harness.store.records import SweepRecord
from harness.store.schema import arrow_schema
from harness.store.store import Store
from tests.benchmarks.page_speed import CHROMIUM, speed
from tests.reports.rich_store import RESAMPLED
from tests.reports.stores import corruption, row

SEEDS = 10
SIZES = (100, 200, 400, 800, 1600)
NS = (100, 200, 400, 800, 1600, 3200, 6400, 12_800)
DS = (4, 8, 16, 32, 64)
KINDS: tuple[dict[str, Any], ...] = ({}, {"family": "other", **RESAMPLED})
CELLS = len(SIZES) * len(NS) * len(DS) * len(KINDS)
"""Cells at one learning rate."""

CORRUPTIONS = [
    corruption(kind, severity, 0.1 * severity)
    for kind in ("blur", "shift", "fog", "dots", "lines", "turn", "noise", "scale")
    for severity in range(1, 6)
]
PICTURES = [{"label": "3", "before": "3", "after": "8", "distance": 0.1}] * 4

PARTS = ("read", "fits", "page")


def fill(folder: Path, rows: int) -> None:
    """Write a store of about so many rows."""
    rng = np.random.default_rng(0)
    store = Store.create(folder)
    asked: dict[str, str] = {}
    for rate in range(max(1, rows // (CELLS * SEEDS))):
        cells = []
        for p, n, d, kind in product(SIZES, NS, DS, KINDS):
            y = 0.01 * p**0.2 * n**-0.2
            cell = row(p, n, d, 0, y, 1 / y, settings={"lr": rate}, **kind)
            cells.append({**cell, "corruptions": CORRUPTIONS, "pictures": PICTURES})

        one_seed = pa.Table.from_pylist(cells, schema=arrow_schema())
        for seed in range(SEEDS):
            ids = [f"{(rate * SEEDS + seed) * CELLS + k:016x}" for k in range(CELLS)]
            stability = np.array([c["stability_attack_mean"] for c in cells])
            noisy = stability * np.exp(0.1 * rng.standard_normal(CELLS))
            changes = {
                "trial_id": ids,
                "seed": [seed] * CELLS,
                "stability_attack_mean": noisy,
            }
            store.append_table(_changed(one_seed, changes))
            asked |= dict.fromkeys(ids, "sphere")
    store.index()
    store.put_sweep(SweepRecord(name="made", text="name: made\n", task_source=None, trials=asked))


def _changed(table: pa.Table, columns: dict[str, Any]) -> pa.Table:
    for name, values in columns.items():
        field = arrow_schema().field(name)
        place = table.schema.get_field_index(name)
        table = table.set_column(place, field, pa.array(values, field.type))
    return table


def report(folder: Path) -> dict[str, Any]:
    """Make the report in this process. Return the seconds of each part, and bytes."""
    from reports import command

    seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)

    def timed(part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            clock = time.process_time()
            result = work(*arguments, **named)
            seconds[part] += time.process_time() - clock
            return result

        return call

    command.read_evidence = timed("read", command.read_evidence)
    command.fit_evidence = timed("fits", command.fit_evidence)
    clock = time.process_time()
    written = command.make_report([str(folder)]).removeprefix("report: ")
    whole = time.process_time() - clock

    rows = Store.open(folder).read(["trial_id"]).rows
    seconds["page"] = whole - seconds["read"] - seconds["fits"]
    return {
        "rows": len(rows),
        **seconds,
        "seconds": whole,
        "memory": 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "size": float(Path(written).stat().st_size),
        "written": written,
    }


def exponent(less: dict[str, float], more: dict[str, float], what: str) -> float:
    """Return b of `what` ∝ rows^b between two stores."""
    return math.log(more[what] / less[what]) / math.log(more["rows"] / less["rows"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", nargs="*", type=int, default=[4_000, 20_000, 100_000])
    parser.add_argument("--part", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        print(json.dumps(report(Path(asked.part))))
        return

    found = []
    heads = [*(f"{part} s" for part in PARTS), "all s", "MB", "page MB", "load s", "key s"]
    print(f"{'rows':>8}" + "".join(f"{head:>9}" for head in heads))
    for rows in asked.rows:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "store"
            fill(folder, rows)
            command = [sys.executable, "-m", "tests.benchmarks.report", "--part", str(folder)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            one = json.loads(done.stdout.splitlines()[-1])
            one |= speed(Path(one.pop("written"))) if CHROMIUM else {}
        found.append(one)
        seconds = "".join(f"{one[part]:>9.1f}" for part in (*PARTS, "seconds"))
        sizes = f"{one['memory'] / 1e6:>9.0f}{one['size'] / 1e6:>9.1f}"
        shown = "".join(f"{one[what]:>9.2f}" for what in ("load", "key") if what in one)
        print(f"{one['rows']:>8.0f}{seconds}{sizes}{shown}", flush=True)

    if len(found) > 1:
        for what in ("seconds", "memory"):
            print(f"{what} ∝ rows^{exponent(found[-2], found[-1], what):.2f}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
