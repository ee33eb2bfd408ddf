"""Measuring trained models at the points that sweeps have by default: MLPs on the sphere and on
digits, alone and in stacks."""

from collections.abc import Iterator

import torch

from harness.measures import measure, on_device
from harness.sweeps.point_counts import PointCounts
from harness.task import Config, Seeds, Task
from harness.training.stack import stack
from tasks.mnist import Mnist, MnistConfig
from tasks.sphere import Sphere, SphereConfig
from tests.gpu.line import Line, Place

COUNTS = (1, 40, 256)


def run(place: Place) -> Iterator[Line]:
    n = place.sized(1000, 32)
    d, width = place.sized((16, 64), (4, 8))
    yield from _measured(place, "sphere", Sphere(), SphereConfig(n=n, d=d, width=width))
    yield from _measured(place, "digits", Mnist(), MnistConfig(n=n, width=16, label_flip=0.2))


def _measured(place: Place, family: str, task: Task, config: Config) -> Iterator[Line]:
    """Yield the seconds a model, for stacks of several sizes."""
    data = on_device(task.data(config, Seeds(0)), place.device)
    points = place.sized(PointCounts(), (2, 2, 2))
    for count in place.sized(COUNTS, (2,)):
        models: list[torch.nn.Module] = [task.model(config).to(place.device) for _ in range(count)]
        program = stack(models, data.x_train[:4])
        samples, seeds = [data] * count, [Seeds(0)] * count
        seconds = place.seconds(lambda p=program, d=samples, s=seeds: measure(p, d, s, points))
        yield Line(f"{family}, a stack of {count}", f"{seconds / count:.3g} s a model")
