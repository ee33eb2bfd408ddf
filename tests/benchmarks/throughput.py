"""Forty MLPs of widths 8 to 54, one epoch over 15 000 × 784 inputs, against what a user would pick
instead.

    make bench        # or: .venv/bin/python -m tests.benchmarks.throughput [--skip-tune]

The same models, data, order and optimiser four ways: a plain loop over torch modules; Ray Tune as
it comes; Ray Tune with `reuse_actors=True`; and `unilaw run` with its rows written. The loop is
warm. A run of unilaw's starts worker processes, which load torch, and so does Tune with
`reuse_actors=True`; what forty models take once they are up is a fourth of what four times forty
more add to a run, for both. With the workers' start, and with Ray's too, it is shown beside. Final
losses are compared. Then ten thousand trials that do next to nothing, against as many bare Ray
tasks. Medians of three rounds; Tune runs once. A table, and a line of JSON.
"""

import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")

import pandas as pd
import ray
import torch
from ray import tune
from rich.console import Console

from harness.run import run
from harness.store.store import Store
from harness.sweeps.registry import load, load_samples, refs_in
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.task import Config, Data, Seeds
from harness.terminal.progress import Progress

TASK_FILE = Path(__file__).with_name("mlp_task.py")
WIDTHS = [round(8 + 46 * i / 39) for i in range(40)]
ROUNDS = 3
LR = [1e-3, 1.1e-3, 1.2e-3, 1.3e-3, 1.4e-3]

SWEEP = """
name: throughput
seeds: [0]
limits: {{measure_points: 0}}
tasks:
  - task: points
    grid: {{width: {widths}, lr: {lr}}}
"""

NOTHING = """
name: nothing
seeds: {{range: [0, {trials}]}}
limits: {{measure_points: 0, weights_mb: 0}}
tasks:
  - task: points
    fixed: {{n: 2, d: 2, width: 1, batch_size: 2}}
"""


def plain_epoch(config: Config, data: Data) -> float:
    """What a user writes: one model, Adam, one epoch. Gives the training set's mean squared
    error."""
    task = load(refs_in(TASK_FILE)["points"])
    torch.manual_seed(Seeds(0).stream("init"))
    model = task.model(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, fused=True)
    shuffled = torch.randperm(len(data.x_train), generator=Seeds(0).generator("order"))
    for x, y in zip(
        data.x_train[shuffled].split(config.batch_size),
        data.y_train[shuffled].split(config.batch_size),
        strict=True,
    ):
        loss = (model(x).reshape(-1) - y).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return float((model(data.x_train).reshape(-1) - data.y_train).square().mean())


class Trainable(tune.Trainable):
    """The same epoch as a Tune trial; the data come from Ray's object store."""

    def setup(self, config: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        self.data: Data = ray.get(config["data"])  # pyright: ignore[reportAttributeAccessIssue]
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.width = new_config["width"]
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: Tune asks before it hands the actor to the next trial."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load."""

    def step(self) -> dict[str, Any]:
        made = load(refs_in(TASK_FILE)["points"]).Config.model_validate({"width": self.width})
        return {"loss": plain_epoch(made, self.data), "done": True}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    clock = time.perf_counter()
    result = work()
    return time.perf_counter() - clock, result


def through(sweep: Sweep, folder: Path) -> pd.DataFrame:
    """`unilaw run` into a new store; its rows."""
    store = Store.create(folder)
    outcome = run(sweep, store, None, False, False, Progress(Console(file=open(os.devnull, "w"))))
    assert outcome.ok == len(sweep.trials), outcome
    return store.read().rows


def tuned(data: Data, folder: str, reuse: bool, times: int = 1) -> dict[int, float]:
    """Width → loss, by Ray Tune; each width so many times."""
    space = {
        "width": tune.grid_search(WIDTHS),
        "time": tune.grid_search(list(range(times))),
        "data": ray.put(data),
    }
    found = tune.Tuner(
        Trainable,
        param_space=space,
        tune_config=tune.TuneConfig(reuse_actors=reuse, metric="loss", mode="min"),
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    ).fit()
    return {r.config["width"]: r.metrics["loss"] for r in found if r.config and r.metrics}


def start_ray() -> None:
    ray.init(
        address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )


def main(skip_tune: bool, nothing: int) -> None:
    refs = refs_in(TASK_FILE)
    sweep, longer = (
        parse_sweep(SWEEP.format(widths=sorted(set(WIDTHS)), lr=lr), "benchmark", refs)
        for lr in (LR[:1], LR)
    )
    data = load_samples(refs["points"]).data(load(refs["points"]).Config(), Seeds(0))
    configs = [t.load_config() for t in sweep.trials]
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        cold, _ = timed(lambda: through(sweep, Path(scratch) / "cold"))
        seconds["Ray's own start"], _ = timed(start_ray)
        loops, more, once, rows, plain = [], [], [], pd.DataFrame(), []
        for k in range(ROUNDS):
            took, plain = timed(lambda: [plain_epoch(c, data) for c in configs])
            loops.append(took)
            took, rows = timed(lambda k=k: through(sweep, Path(scratch) / f"once-{k}"))
            once.append(took)
            took, _ = timed(lambda k=k: through(longer, Path(scratch) / f"longer-{k}"))
            more.append((took - once[-1]) / (len(LR) - 1))
        seconds["plain loop"], seconds["unilaw, rows written"] = (
            statistics.median(loops),
            statistics.median(more),
        )
        seconds["unilaw with its workers' start"] = statistics.median(once)
        seconds["unilaw with Ray's start"] = cold
        ours = rows.assign(width=[json.loads(c)["width"] for c in rows["config_json"]]).set_index(
            "width"
        )["train_loss"]
        difference = max(
            abs(ours[c.model_dump()["width"]] - loss) / loss
            for c, loss in zip(configs, plain, strict=True)
        )
        if not skip_tune:
            reused, losses = timed(lambda: tuned(data, scratch, reuse=True))
            longer_reused, _ = timed(lambda: tuned(data, scratch, reuse=True, times=len(LR)))
            seconds["Ray Tune, reuse_actors=True"] = (longer_reused - reused) / (len(LR) - 1)
            seconds["Ray Tune, reuse_actors=True, with its actors' start"] = reused
            seconds["Ray Tune"], more_losses = timed(lambda: tuned(data, scratch, reuse=False))
            difference = max(
                difference,
                *(
                    abs(ours[w] - loss) / loss
                    for w, loss in [*losses.items(), *more_losses.items()]
                ),
            )
        empty = ray.remote(num_cpus=1)(lambda: None)
        ray.get([empty.remote() for _ in range(100)])
        bare, _ = timed(lambda: ray.get([empty.remote() for _ in range(nothing)]))
        many = parse_sweep(NOTHING.format(trials=nothing), "benchmark", refs)
        through_all, _ = timed(lambda: through(many, Path(scratch) / "nothing"))
        ray.shutdown()
    loop = seconds["plain loop"]
    print(
        f"{len(sweep.trials)} MLPs, one epoch of 15 000 × 784; final losses agree to"
        f" {difference:.1e}"
    )
    for name, value in seconds.items():
        print(f"  {name:<52} {value:8.2f} s  {value / loop:6.2f} × loop")
    per = {
        "a bare Ray task": 1000 * bare / nothing,
        "a trial that does next to nothing, row written": 1000 * through_all / nothing,
    }
    print(f"{nothing} trials through the whole path")
    for name, value in per.items():
        print(f"  {name:<48} {value:6.2f} ms")
    assert difference < 1e-3, "not the same work"
    ratios = {
        f"unilaw / {name}": seconds["unilaw, rows written"] / value
        for name, value in seconds.items()
        if name in ("plain loop", "Ray Tune, reuse_actors=True")
    }
    print(
        json.dumps(
            {
                "seconds": seconds,
                "ratios": ratios,
                "largest_difference_in_loss": difference,
                "ms_per_trial": per,
            }
        )
    )


if __name__ == "__main__":
    main("--skip-tune" in sys.argv, int(next((a for a in sys.argv[1:] if a.isdigit()), 10_000)))
