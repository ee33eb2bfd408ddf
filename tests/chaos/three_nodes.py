"""Three nodes, one of them killed in the middle of a small `universal`, beside an undisturbed run
of the same sweep.

    python -m tests.chaos.three_nodes [SWEEP]

Both runs must have the same trials, all ok, and every headline number of the disturbed run's report
must lie inside the undisturbed one's interval: of a slope, its fit's 95 % interval over curves,
sizes and seeds; of a count, the count. Prints a table; exits with 1 when that does not hold.
"""

import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from harness.sweeps.sweep import load_sweep
from reports.evidence import read_evidence
from reports.fits.slope import Slope
from reports.law import KindFit, fit_all
from reports.numbers import Number
from reports.sections.headline import headline_of
from tests.chaos.store_auditor import Runs, StoreAuditor
from tests.nodes import Nodes, busy, nodes

SMALL = Path(__file__).with_name("universal-small.yaml")


class Line(NamedTuple):
    """A number of both reports, with the undisturbed one's interval."""

    name: str
    undisturbed: float
    low: float
    high: float
    disturbed: float

    @property
    def inside(self) -> bool:
        return self.low <= self.disturbed <= self.high


def compare(undisturbed: Path, disturbed: Path) -> list[Line]:
    """The headline's numbers and, behind them, the slopes of every kind that is judged. Raises
    ValueError when there are none."""
    one, other = (
        fit_all(read_evidence(folder).trials).kinds for folder in (undisturbed, disturbed)
    )
    slopes = {f.kind: f for f in other}
    lines = []
    for f in one:
        for name, mine, theirs in _slopes(f, slopes.get(f.kind)):
            lines.append(
                Line(
                    f"{f.kind}: {name}",
                    mine.slope,
                    mine.low,
                    mine.high,
                    theirs.slope if theirs else float("nan"),
                )
            )
    theirs = {n.key: n for n in headline_of(other).numbers()}
    for number in headline_of(one).numbers():
        low, high = _interval(number, one)
        lines.append(
            Line(
                number.key,
                float(number.value),
                low,
                high,
                float(theirs[number.key].value) if number.key in theirs else float("nan"),
            )
        )
    if not lines:
        raise ValueError("the undisturbed run's report has no headline number")
    return lines


def _slopes(one: KindFit, other: KindFit | None) -> Iterator[tuple[str, Slope, Slope | None]]:
    if one.judged:
        yield "stability", one.stability, other and other.stability
    if one.judged and one.lipschitz and not one.lipschitz.failure:
        yield "lipschitz", one.lipschitz, other and other.lipschitz


def _interval(number: Number, fits: list[KindFit]) -> tuple[float, float]:
    """Of the fit whose slope the number is; a count has none."""
    for f in fits:
        if f.judged and f.stability.slope == number.value:
            return f.stability.low, f.stability.high
    return float(number.value), float(number.value)


def run(cluster: Nodes, folder: Path, sweep: Path, store: str, kill_one: bool) -> pd.DataFrame:
    """The sweep on the cluster; its rows. Raises RuntimeError when it does not end with every
    trial ok."""
    asked = [t.trial_id for t in load_sweep(str(sweep), {}).trials]
    runs, witness = Runs(folder, cluster.environment), StoreAuditor(folder / store)
    try:
        process = runs.start("run", sweep, "--store", store, "--address", cluster.address)
        while kill_one and process.poll() is None:
            planned = re.search(r"in (\d+) batches", runs.said(process))
            done = len(witness.row_files())
            victim = next((node for node in cluster.workers if busy(node.session)), None)
            if planned and done >= int(planned[1]) / 2 and victim:
                cluster.kill(victim)
                witness.look("the kill")
                print(
                    f"killed a node that was at work, with {done} of {planned[1]} batches done",
                    flush=True,
                )
                break
            time.sleep(0.2)
        if process.wait() != 0:
            raise RuntimeError(runs.said(process))
    finally:
        runs.end()
    rows = witness.conclude(asked, failed={"preempted": len(asked)} if kill_one else {})
    if witness.failures or (kill_one and len(cluster.workers) == 2):
        raise RuntimeError(
            "; ".join(witness.failures) or "the run was over before a node could be killed"
        )
    return rows


def main() -> int:
    clock = time.monotonic()
    sweep = Path(sys.argv[1] if len(sys.argv) > 1 else SMALL).resolve()
    with tempfile.TemporaryDirectory(prefix="unilaw-three-") as name, nodes(3) as cluster:
        folder = Path(name)
        rows = {}
        for store, kill_one in (("undisturbed", False), ("disturbed", True)):
            began = time.monotonic()
            rows[store] = run(cluster, folder, sweep, store, kill_one)
            kinds = rows[store]["failure_kind"].value_counts().to_dict()
            print(
                f"{store}: {rows[store]['trial_id'].nunique()} trials, all ok, failed attempts"
                f" {kinds}, {time.monotonic() - began:.0f} s"
            )
        ok = {
            store: found[found["status"].eq("ok")].set_index("trial_id")
            for store, found in rows.items()
        }
        if set(ok["undisturbed"].index) != set(ok["disturbed"].index):
            raise RuntimeError("the two runs have different trials")
        for family, mine in ok["undisturbed"].groupby("family"):
            apart = (ok["disturbed"]["test_loss"].reindex(mine.index) / mine["test_loss"] - 1).abs()
            print(
                f"{family}: {len(mine)} trials, test_loss the same bit for bit in"
                f" {(apart == 0).sum()}, apart by {apart.max():.1e} at most"
            )
        lines = compare(folder / "undisturbed", folder / "disturbed")
    width = max(len(line.name) for line in lines)
    print(f"{'number':<{width}}  undisturbed  interval            node killed  inside")
    for line in lines:
        interval = f"{line.low:+.3f} to {line.high:+.3f}"
        print(
            f"{line.name:<{width}}  {line.undisturbed:+11.4f}  {interval:<18} "
            f" {line.disturbed:+11.4f}  {'yes' if line.inside else 'NO'}"
        )
    print(f"{time.monotonic() - clock:.0f} s")
    return 0 if all(line.inside for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
