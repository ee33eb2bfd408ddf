"""What segments and halving add to the steepest pair on trained networks.

    .venv/bin/python -m tests.benchmarks.steep_starts [nets of a family: 10]

MLPs and CNNs trained on MNIST digits. For each net: the largest slope found as it is measured, over
the largest that is found with as many starts between random training points in place of the
steepest parts of segments, and without halving. 1 = the two find the same.
"""

import json
import sys
from unittest.mock import patch

import torch
from torch import Tensor

from harness.measures import lipschitz_ascent, lipschitz_lower
from harness.measures.jacobian import local_norms
from harness.measures.lipschitz_ascent import POINT_SETS, SEGMENTS, largest_slopes
from harness.measures.points import Draw, Probe
from harness.task import Seeds
from harness.training.stack import Alone, Model
from tests.benchmarks.trained_digits import trained

POINTS = 64

GRIDS = {
    "mlp": [{"width": width} for width in (16, 32, 64, 128, 256)],
    "cnn": [{"model": "cnn", "capacity": capacity} for capacity in (1, 2)],
}


def random_pairs(probe: Probe, model: Model) -> tuple[Tensor, Tensor]:
    """Return whole segments between training points in place of their steepest parts."""
    return (
        torch.stack([draw.train[-SEGMENTS:] for draw in probe.draws]),
        torch.stack([draw.partners[-SEGMENTS:] for draw in probe.draws]),
    )


def ratio(probe: Probe) -> float:
    """Return the largest slope as measured, over the one without segments and halving."""
    model = probe.row_space.model
    norms = {
        name: local_norms(model, probe.coordinates(attribute), None, probe.on_sphere).outputs
        for name, attribute in POINT_SETS.items()
    }
    (new,) = largest_slopes(probe, model, norms)
    with (
        patch.object(lipschitz_ascent, "steepest_parts", random_pairs),
        patch.object(lipschitz_lower, "HALVINGS", 0),
    ):
        (old,) = largest_slopes(probe, model, norms)
    return new.largest / old.largest


def main(count: int) -> None:
    torch.set_num_threads(1)
    results = {}
    for family, grid in GRIDS.items():
        data, nets = trained([grid[k % len(grid)] for k in range(count)])
        draw = Draw(data, Seeds(0), POINTS)
        ratios = [ratio(Probe(Alone(net), [data], [draw])) for net in nets]
        results[family] = ratios
        shown = " ".join(f"{value:.3f}" for value in sorted(ratios))
        print(f"{family}: mean {sum(ratios) / count:.4f}; {shown}", flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
