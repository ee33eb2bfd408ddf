"""GPTs of 1e4 to 1e6 parameters on windows of tokens, alone and in stacks of 8 and 32: trained, and
measured."""

from collections.abc import Iterator
from typing import Any

import torch

from harness.measures import measure, on_device
from harness.task import Data, Seeds
from harness.training.loop import StackGroup, train
from harness.training.program import for_training
from harness.training.stack import stack
from tasks.text import TextConfig, TextWindows
from tests.gpu.line import Line, Place
from tests.gpu.recorders import recorder_here
from tests.training.recording import recorded_by

TASK = TextWindows()


def run(place: Place) -> Iterator[Line]:
    fields: dict[str, Any] = place.sized(
        {"n": 400, "max_epochs": 10}, {"n": 32, "max_epochs": 4, "context": 4, "megabytes": 2}
    )
    made = TextConfig(target_resample=0.3, stop="epochs", **fields)
    data = on_device(TASK.data(made, Seeds(0)), place.device)
    points = place.sized(64, 0)

    for width in place.sized((8, 64, 256), (8,)):
        config = made.model_copy(update={"width": width})
        p = sum(weight.numel() for weight in TASK.model(config).parameters())
        for count in place.sized((1, 8, 32), (2,)):
            what = f"{count} × {p:.1e} parameters"
            with recorded_by(None):
                plain, _ = _seconds(place, [config] * count, data, points=0)
            with recorded_by(recorder_here(place)):
                recorded, measured = _seconds(place, [config] * count, data, points)
            yield Line(f"{what}: trained", f"{plain:.3g} s by steps, {recorded:.3g} s recorded")
            if points:
                yield Line(f"{what}: measured at {points} points", f"{measured:.3g} s")

    count = place.sized(32, 2)
    points = place.sized(1000, 2)
    config = made.model_copy(update={"width": place.sized(128, 8)})
    with recorded_by(recorder_here(place)):
        trained, measured = _seconds(place, [config] * count, data, points)
    what = f"{count} × width {config.width}, trained and measured at {points} points"
    yield Line.at_most(what, trained + measured, place.sized(30, 60), " s")


def _seconds(
    place: Place, configs: list[TextConfig], data: Data, points: int
) -> tuple[float, float]:
    """Return the seconds of training models as a stack, and of measuring them."""
    models = []
    for m, config in enumerate(configs):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(m)
            models.append(TASK.model(config).to(place.device))
    group = StackGroup.of(configs[0], data, Seeds(0))

    def trained() -> None:
        program = stack([for_training(model) for model in models], data.x_train[:4])
        train(program, [group], configs)

    def measured() -> None:
        count = len(models)
        measure(stack(models, data.x_train[:4]), [data] * count, [Seeds(0)] * count, points)

    training = place.seconds(trained)
    return training, place.seconds(measured) if points else 0.0
