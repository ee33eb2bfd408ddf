"""40, 256 and 1 024 MLPs, one epoch of 15 000 × 784: a plain loop on the same GPU, a stack whose
steps are launched one by one, and a stack whose step is recorded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from harness.measures import on_device
from harness.sweeps.registry import load, load_samples, refs_in
from harness.task import Config, Data, Seeds
from harness.training.loop import Fit, StackGroup, train
from harness.training.stack import stack
from tests.gpu.line import Line, Place
from tests.gpu.recorders import recorder_here
from tests.training.recording import recorded_by

TASK = refs_in(Path(__file__).parent.parent / "benchmarks" / "mlp_task.py")["points"]

LOOPED = 40
"""Models that the loop trains; a loop of more takes as much longer as there are more."""

WANTED = {40: 100, 256: None, 1024: 300}
"""Stacked models, and how many times as fast as the loop they shall be."""


def run(place: Place) -> Iterator[Line]:
    n = place.sized(15_000, 600)
    counts: dict[int, int | None] = place.sized(WANTED, {3: None, 5: None})
    made = load(TASK).Config(n=n)
    data = on_device(load_samples(TASK).data(made, Seeds(0)), place.device)
    widths = [round(8 + 46 * i / (LOOPED - 1)) for i in range(min(LOOPED, max(counts)))]
    configs = [made.model_copy(update={"width": width}) for width in widths]

    _loop(place, configs[:2], data)  # what CUDA sets up once
    losses: list[float] = []
    loop = place.seconds(lambda: losses.extend(_loop(place, configs, data)))
    yield Line(f"loop of {len(configs)} MLPs", f"{loop:.3g} s")

    for count, least in counts.items():
        stacked = [configs[i % len(configs)] for i in range(count)]
        looped = loop * count / len(configs)

        with recorded_by(None):
            plain, _, _ = _stacked(place, stacked, data)
        yield Line(f"{count} MLPs, launched step by step", f"{looped / plain:.3g} × loop")

        with recorded_by(recorder_here(place)):
            recorded, stacking, fits = _stacked(place, stacked, data)
        yield Line.at_most(f"{count} MLPs: stack() itself", stacking, place.sized(0.05, 60), " s")
        what = f"{count} MLPs, recorded"
        speed = looped / recorded
        yield (
            Line.at_least(what, speed, least, " × loop")
            if least
            else Line(what, f"{speed:.3g} × loop")
        )

        pairs = zip(fits[: len(losses)], losses, strict=False)
        difference = max(abs(fit - loss) / loss for fit, loss in pairs)
        yield Line.at_most(f"{count} MLPs: loss against the loop's", difference, 1e-3)


def _loop(place: Place, configs: list[Config], data: Data) -> list[float]:
    """Train models one after another, as a user writes it, and return their losses."""
    losses = []
    for config in configs:
        model = _model(place, config)
        adam = torch.optim.Adam(model.parameters(), lr=config.rate, fused=True)
        order = torch.randperm(len(data.x_train), generator=Seeds(0).generator("order"))
        for rows in order.to(place.device).split(config.samples_per_step):
            loss = (model(data.x_train[rows]).reshape(-1) - data.y_train[rows]).square().mean()
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
        with torch.no_grad():
            losses.append(float((model(data.x_train).reshape(-1) - data.y_train).square().mean()))
    return losses


def _stacked(place: Place, configs: list[Config], data: Data) -> tuple[float, float, list[float]]:
    """Train models as a stack. Return the seconds, how many `stack()` took, and the losses."""
    models = [_model(place, config) for config in configs]
    group = StackGroup.of(configs[0], data, Seeds(0))
    held: dict[str, Any] = {}

    def make() -> None:
        held["program"] = stack(models, data.x_train[:4])

    stacking = place.seconds(make)
    training = place.seconds(lambda: held.update(fits=train(held["program"], [group], configs)))
    losses = [fit.loss if isinstance(fit, Fit) else float("nan") for fit in held["fits"]]
    return stacking + training, stacking, losses


def _model(place: Place, config: Config) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(Seeds(0).stream("init"))
        return load_samples(TASK).model(config).to(place.device)
