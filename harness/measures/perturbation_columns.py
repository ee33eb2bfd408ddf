"""Fill the columns `noise_*` and `corruptions`, from `input_noise.py` and `corruption.py`."""

import math

from harness.measures.corruption import corruption_response, corruption_rows
from harness.measures.input_noise import RADII, NoiseResponse
from harness.measures.points import Probe
from harness.store.schema import Columns


def noise_columns(probe: Probe, noise: NoiseResponse) -> list[Columns]:
    """Return each model's response to Gaussian noise on its inputs, at every radius of RADII."""
    accuracy = probe.each(noise.right).float().mean(1).tolist()
    flip_rate = probe.each(noise.flipped).float().mean(1).tolist()
    output_change = probe.each(noise.change.square()).mean(1).sqrt().tolist()
    kl = None if noise.kl is None else probe.each(noise.kl).mean(1).tolist()

    return [
        {
            "noise_radii": list(RADII),
            "noise_accuracy": accuracy[m],
            "noise_accuracy_se": [math.sqrt(a * (1 - a) / len(draw.x)) for a in accuracy[m]],
            "noise_flip_rate": flip_rate[m],
            "noise_output_change": output_change[m],
            "noise_kl": None if kl is None else kl[m],
        }
        for m, draw in enumerate(probe.draws)
    ]


def corruption_columns(probe: Probe) -> list[Columns]:
    """Return each model's response to corruptions of its images, empty where inputs are not
    images."""
    if not (probe.images and probe.box):
        return [{} for _ in probe.draws]
    response = corruption_response(
        probe.raw,
        probe.x * probe.units(),
        probe.y,
        probe.classes,
        probe.all("directions"),
        probe.box,
    )
    right = probe.each(response.right)
    flipped = probe.each(response.flipped)
    return [{"corruptions": corruption_rows(right[m], flipped[m])} for m in range(probe.models)]
