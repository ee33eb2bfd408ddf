"""A run's forecast against the seconds that it took."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from harness.planning.plan import plan
from harness.run import run as run_sweep
from harness.store.store import Store
from harness.sweeps.sweep import parse_sweep
from harness.terminal.progress import Progress
from tests.gpu.line import Line, Place

SWEEP = """
name: forecast
seeds: {{range: [0, {seeds}]}}
limits: {{measure_points: {points}}}
{resources}
tasks:
  - {{task: sphere, fixed: {{n: {n}, d: 16, max_epochs: 200}}, grid: {{width: [16, 64, 256]}}}}
"""


def run(place: Place) -> Iterator[Line]:
    text = SWEEP.format(
        seeds=place.sized(20, 1),
        points=place.sized(128, 2),
        n=place.sized(1024, 32),
        resources=place.sized("resources: {gpus: auto}", ""),
    )
    sweep = parse_sweep(text, "forecast.yaml")
    planned = plan(sweep, lambda _: None)
    yield Line("batches, trials in stacks", f"{planned.batches}, {planned.stacked_trials}")

    with tempfile.TemporaryDirectory() as folder:
        progress = Progress(Console(file=io.StringIO()))
        store = Store.create(Path(folder) / "rows")
        outcome = run_sweep(sweep, store, None, not place.is_gpu, False, progress)

    if outcome.ok != planned.trials:
        raise RuntimeError(f"{outcome.ok} of {planned.trials} trials are ok: {outcome.failed}")
    yield Line("forecast", f"{planned.wall_seconds:.3g} s")
    yield Line("taken", f"{outcome.seconds:.3g} s")
    if place.is_gpu:  # a run of a second is all start
        ratio = planned.wall_seconds / outcome.seconds
        yield Line.at_most("forecast against taken, either way", max(ratio, 1 / ratio), 1.5, " ×")
