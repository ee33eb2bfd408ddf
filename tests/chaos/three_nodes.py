"""Three nodes, one of them killed in the middle of a small `universal`, beside an undisturbed run
of the same sweep.

    python -m tests.chaos.three_nodes [SWEEP]

Both runs must have the same trials, all ok, and every judged slope of the disturbed run's report
must lie inside the undisturbed run's 95 % interval, over curves, sizes and seeds. Prints a table,
and exits with 1 when a slope lies outside.
"""

import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

import pandas as pd

from harness.sweeps.sweep import load_sweep
from reports.evidence import read_evidence
from reports.fits.slope import Slope
from reports.law import KindFit, fit_all
from tests.chaos.store_auditor import Runs, StoreAuditor
from tests.nodes import Nodes, busy, nodes

SMALL = Path(__file__).with_name("universal-small.yaml")


class Line(NamedTuple):
    """A number of both reports, with its interval in the undisturbed run's report."""

    name: str
    undisturbed: float
    low: float
    high: float
    disturbed: float

    @property
    def inside(self) -> bool:
        return self.low <= self.disturbed <= self.high


def compare(undisturbed: Path, disturbed: Path) -> list[Line]:
    """Return the slopes of every kind that is judged, from which the report's answer follows.
    Raises ValueError when there are none."""
    fits = fit_all(read_evidence(undisturbed).trials).kinds
    other_fits = fit_all(read_evidence(disturbed).trials).kinds
    lines = []

    other_by_kind = {fit.kind: fit for fit in other_fits}
    for fit in fits:
        for name, slope, other in _slopes(fit, other_by_kind.get(fit.kind)):
            value = other.slope if other else float("nan")
            lines.append(Line(f"{fit.kind}: {name}", slope.slope, slope.low, slope.high, value))

    if not lines:
        raise ValueError("the undisturbed run's report judges no slope")
    return lines


def _slopes(one: KindFit, other: KindFit | None) -> Iterator[tuple[str, Slope, Slope | None]]:
    if one.judged:
        yield "stability", one.stability, other and other.stability
    if one.judged and one.lipschitz and not one.lipschitz.failure:
        yield "lipschitz", one.lipschitz, other and other.lipschitz


def run(cluster: Nodes, folder: Path, sweep: Path, store: str, kill_one: bool) -> pd.DataFrame:
    """Run the sweep on the cluster and return its rows. If `kill_one`, kill a node that is at work
    when half of the batches are done.

    Raises RuntimeError when the run does not end with every trial ok.
    """
    asked = [trial.trial_id for trial in load_sweep(str(sweep), {}).trials]
    runs = Runs(folder, cluster.environment)
    auditor = StoreAuditor(folder / store)
    try:
        process = runs.start("run", sweep, "--store", store, "--address", cluster.address)
        if kill_one:
            _kill_half_way(cluster, process, runs, auditor)
        if process.wait() != 0:
            raise RuntimeError(runs.output(process))
    finally:
        runs.end()

    rows = auditor.conclude(asked, failed={"preempted": len(asked)} if kill_one else {})
    if auditor.failures:
        raise RuntimeError("; ".join(auditor.failures))
    if kill_one and len(cluster.workers) == 2:
        raise RuntimeError("the run was over before a node could be killed")
    return rows


def _kill_half_way(
    cluster: Nodes, process: Popen[bytes], runs: Runs, auditor: StoreAuditor
) -> None:
    """Kill a node that is at work once half of the batches are done, unless the run is over
    before."""
    while process.poll() is None:
        planned = re.search(r"in (\d+) batches", runs.output(process))
        done = len(auditor.row_files())
        victim = next((node for node in cluster.workers if busy(node.session)), None)
        if planned and done >= int(planned[1]) / 2 and victim:
            cluster.kill(victim)
            auditor.look("the kill")
            print(
                f"killed a node that was at work, with {done} of {planned[1]} batches done",
                flush=True,
            )
            return
        time.sleep(0.2)


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
        _print_differences(rows["undisturbed"], rows["disturbed"])
        lines = compare(folder / "undisturbed", folder / "disturbed")
    _print_table(lines)
    print(f"{time.monotonic() - clock:.0f} s")
    return 0 if all(line.inside for line in lines) else 1


def _print_differences(undisturbed: pd.DataFrame, disturbed: pd.DataFrame) -> None:
    """Print for each family of models how far the test losses of the two runs are apart. Raises
    RuntimeError when the runs have different trials."""
    ok = undisturbed[undisturbed["status"].eq("ok")].set_index("trial_id")
    other_ok = disturbed[disturbed["status"].eq("ok")].set_index("trial_id")
    if set(ok.index) != set(other_ok.index):
        raise RuntimeError("the two runs have different trials")

    for family, of_family in ok.groupby("family"):
        other_loss = other_ok["test_loss"].reindex(of_family.index)
        apart = (other_loss / of_family["test_loss"] - 1).abs()
        print(
            f"{family}: {len(of_family)} trials, test_loss the same bit for bit in"
            f" {(apart == 0).sum()}, apart by {apart.max():.1e} at most"
        )


def _print_table(lines: list[Line]) -> None:
    width = max(len(line.name) for line in lines)
    print(f"{'number':<{width}}  undisturbed  interval            node killed  inside")
    for line in lines:
        interval = f"{line.low:+.3f} to {line.high:+.3f}"
        print(
            f"{line.name:<{width}}  {line.undisturbed:+11.4f}  {interval:<18} "
            f" {line.disturbed:+11.4f}  {'yes' if line.inside else 'NO'}"
        )


if __name__ == "__main__":
    sys.exit(main())
