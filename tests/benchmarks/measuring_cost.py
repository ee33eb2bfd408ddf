"""What measuring costs beside training, instrument by instrument: seconds of S, of the training
radius and of all others, per point.

    .venv/bin/python -m tests.benchmarks.measuring_cost [sphere mlp cnn gpt gpt-large]

One thread, processor seconds, all instruments at equally many points. The parts of the total are
what `STABILITY_SHARE` and `TRAINING_RADIUS_SHARE` in harness/sweeps/point_counts.py say.
`gpt-large` times S alone at 1 000 points, and takes minutes.
"""

import json
import sys
import time
from typing import Any, NamedTuple

import torch
from torch import nn

from harness.measures import measure
from harness.measures.at_points import search_at_points
from harness.measures.points import Draw, Probe
from harness.measures.training_radius_columns import training_radius_columns
from harness.sweeps.registry import TaskRef, load_samples
from harness.task import Data, Seeds
from harness.training.loop import StackGroup, train
from harness.training.stack import Alone

POINTS = 96
"""Points of each instrument."""

TEXT = {"n": 400, "target_resample": 0.3, "max_epochs": 400}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "sphere": ("sphere", {"n": 512, "d": 32, "width": 128}),
    "mlp": ("mnist", {"n": 1000, "label_flip": 0.2, "width": 64}),
    "cnn": ("mnist", {"n": 1000, "label_flip": 0.2, "model": "cnn", "capacity": 1}),
    "gpt": ("text", {**TEXT, "width": 32}),
    "gpt-large": ("text", {**TEXT, "n": 4000, "width": 128}),
}


class Trained(NamedTuple):
    """A trained model, its data, and the processor seconds of its training."""

    net: nn.Module
    data: Data
    seconds: float


def trained(task_name: str, fields: dict[str, Any]) -> Trained:
    """Train one model to its stop rule."""
    task = load_samples(TaskRef(task_name))
    config = task.Config.model_validate(fields)
    seeds = Seeds(0)
    data = task.data(config, seeds)
    torch.manual_seed(seeds.stream("init"))
    net = task.model(config)

    clock = time.process_time()
    group = StackGroup(data, seeds.generator("order"), config.lr)
    train(Alone(net), [group], [config])
    return Trained(net, data, time.process_time() - clock)


def of_instruments(model: Trained) -> dict[str, float]:
    """Return the seconds of training, the milliseconds a point of each group of instruments, and
    their parts of the sum."""
    net = Alone(model.net)
    samples, seeds = [model.data], [Seeds(0)]
    measure(net, samples, seeds, (4, 4, 4))  # what is done once for a data set, and imports

    clock = time.process_time()
    search_at_points(Probe(net, samples, [Draw(model.data, seeds[0], POINTS)]))
    stability = time.process_time() - clock

    clock = time.process_time()
    training_radius_columns(net, samples, seeds, [model.data.unit()], POINTS)
    radius = time.process_time() - clock

    clock = time.process_time()
    measure(net, samples, seeds, POINTS)
    together = time.process_time() - clock
    others = together - stability - radius

    return {
        "training s": model.seconds,
        "S ms": 1e3 * stability / POINTS,
        "radius ms": 1e3 * radius / POINTS,
        "others ms": 1e3 * others / POINTS,
        "S share": stability / together,
        "radius share": radius / together,
    }


def of_stability(model: Trained, points: int) -> dict[str, float]:
    """Return the seconds of training and of S alone."""
    probe = Probe(Alone(model.net), [model.data], [Draw(model.data, Seeds(0), points)])
    clock = time.process_time()
    search_at_points(probe)
    seconds = time.process_time() - clock
    return {
        "training s": model.seconds,
        f"S at {points} points s": seconds,
        "S over training": seconds / model.seconds,
    }


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    results = {}
    for name in names:
        model = trained(*MODELS[name])
        model.net.eval()
        if name == "gpt-large":
            results[name] = of_stability(model, 1000)
        else:
            results[name] = of_instruments(model)
        print(name, *(f"{key} {value:.3g}" for key, value in results[name].items()), flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1:] or [name for name in MODELS if name != "gpt-large"])
