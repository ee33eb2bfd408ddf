"""Made-up machines: calibrations under which stacking pays, costs nothing or is dear."""

from harness.planning.costs import Calibration, Cost

TINY_STEP = Cost(fixed=3e-4, per_flop=1e-11, per_number=2e-9, per_model=0.0)

LIKE_A_LAPTOP = Calibration(
    alone=TINY_STEP,
    stacked=Cost(4e-4, 1.2e-11, 4e-9, 3e-6),
    convolution_alone=Cost(5e-3, 0.0, 1e-6, 0.0),
    convolution_stacked=Cost(2e-3, 2e-11, 0.0, 4e-3),
    attention_alone=Cost(3e-3, 1e-11, 0.0, 0.0),
    attention_stacked=Cost(6e-3, 2e-11, 0.0, 2e-3),
    measuring=Cost(0.07, 1.4e-9, 1.3e-6, 5e-3),
    vocabulary=Cost(1.6, 5e-9, 0.0, 0.0),
    starting=Cost(2e-3, 0.0, 0.0, 1e-3),
    slowdown=1.1,
)

FREE = Cost(0.0, 0.0, 0.0, 0.0)

PADDING_IS_FREE = LIKE_A_LAPTOP._replace(
    starting=FREE, stacked=Cost(3e-4, 0.0, 0.0, 0.0), convolution_stacked=Cost(5e-3, 0.0, 0.0, 0.0)
)

STACKING_IS_DEAR = LIKE_A_LAPTOP._replace(
    stacked=Cost(10.0, 1e-9, 1e-6, 1.0), convolution_stacked=Cost(10.0, 1e-9, 1e-6, 1.0)
)

MACHINES = {
    "like a laptop": LIKE_A_LAPTOP,
    "padding is free": PADDING_IS_FREE,
    "stacking is dear": STACKING_IS_DEAR,
}

KNOWN = Calibration(
    *[Cost(1.0, 0.0, 0.0, 0.0)] * 6, measuring=FREE, vocabulary=FREE, starting=FREE, slowdown=1.0
)
"""A second for every step, whatever is in it."""
