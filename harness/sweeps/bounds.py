"""The largest values that a sweep file or an option may have. They have a file of their own because
`--help` must not import torch."""

MAX_TRIALS = 1_000_000
"""The largest `limits.trials`."""

MAX_CPUS = 1024
"""The largest `resources.cpus`."""

MAX_POINTS = 100_000
"""The largest `limits.measure_points`."""
