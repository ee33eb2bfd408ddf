"""The minimum-norm searches beside more of the same, and measuring's cost beside training, as
ratios in one run.

    make bench        # or: .venv/bin/python -m tests.benchmarks.attack_strength

For trained ReLU nets: mean distance found over the mean found with four times the steps (1 =
converged), per norm; the ℓ2 figure over the first-order one; seconds of measuring over seconds of
training. In the narrowest nets a tenth of the points lies where every hidden unit is off and no
gradient points anywhere. Other attacks: robust_accuracy.py.
"""

import json
import time
from typing import Any

import torch

from harness.measures import STABILITY_CAP, boundary, measure, robust_accuracy
from harness.measures.margin_descent import WANDER_DIRECTIONS
from harness.sweeps.registry import TaskRef, load_samples
from harness.sweeps.trial import MEASURE_POINTS
from harness.task import Data, Seeds
from harness.training.loop import StackGroup, train
from harness.training.stack import Alone, Model

CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "mnist",
        {"n": 1000, "label_flip": 0.1, "width": 4, "depth": 2, "stop": "epochs", "max_epochs": 60},
    ),
    (
        "mnist",
        {
            "n": 1000,
            "head": "digits",
            "label_resample": 0.3,
            "width": 2,
            "stop": "epochs",
            "max_epochs": 60,
        },
    ),
    ("mnist", {"n": 1000, "label_flip": 0.2, "width": 4, "max_epochs": 300}),
    ("mnist", {"n": 1000, "label_flip": 0.2, "width": 512}),
    (
        "mnist",
        {"n": 1000, "head": "digits", "label_resample": 0.3, "width": 128, "max_epochs": 200},
    ),
    ("sphere", {"n": 256, "d": 16, "width": 16}),
    ("sphere", {"n": 256, "d": 16, "width": 512}),
)


def found(model: Model, data: Data, factor: int) -> dict[str, float]:
    """Mean distances that the searches find with `factor` times their steps: ℓ2 in data units,
    ℓ∞ in the inputs' own numbers."""
    shipped = robust_accuracy.LINF_STEPS
    robust_accuracy.LINF_STEPS = factor * shipped
    effort = boundary.DEFAULT._replace(steps=factor * boundary.DEFAULT.steps)
    unit = data.unit()
    try:
        x = data.x_test[:MEASURE_POINTS] / unit
        starts = data.x_train[None, : 4 * MEASURE_POINTS] / unit
        generator = torch.Generator().manual_seed(0)
        wander = torch.randn(WANDER_DIRECTIONS, *x.shape, generator=generator)
        change = boundary.nearest_change(
            lambda z: model(z * unit), x, starts, data.classes, wander, effort=effort
        ).change
        linf = robust_accuracy.nearest_linf_change(
            model, x * unit, change * unit, data.classes, data.box
        )
        distance = boundary.l2_distance(x, change)
        mean = boundary.stability(distance, STABILITY_CAP, leave_out=False).mean
        return {"ℓ2": mean, "ℓ∞": float(robust_accuracy.linf_distance(x * unit, linf).mean())}
    finally:
        robust_accuracy.LINF_STEPS = shipped


def main() -> None:
    torch.set_num_threads(1)
    results = []
    for name, fields in CASES:
        task, seeds = load_samples(TaskRef(name)), Seeds(0)
        config = task.Config(**fields)
        data = task.data(config, seeds)
        torch.manual_seed(seeds.stream("init"))
        model = task.model(config)
        clock = time.perf_counter()
        train(Alone(model), [StackGroup(data, seeds.generator("order"), config.lr)], [config])
        trained = time.perf_counter()
        ((measured, _),) = measure(Alone(model), [data], [seeds])
        seconds = time.perf_counter() - trained
        shipped, longer = (found(model, data, factor) for factor in (1, 4))
        results.append(
            {
                "case": f"{name} {fields}",
                **{
                    f"{norm} found / found with 4× steps": shipped[norm] / longer[norm]
                    for norm in shipped
                },
                "found / first order": (
                    measured["stability_attack_mean"] / measured["stability_first_order_mean"]
                ),
                "measuring / training seconds": seconds / (trained - clock),
            }
        )
    for r in results:
        print(r["case"], *(f"\n  {k:<32} {v:.3f}" for k, v in r.items() if k != "case"))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
