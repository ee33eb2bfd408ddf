"""How much a search for the most robust fit tries, and what that costs: for the search itself, and
for planning."""

from typing import NamedTuple

from harness.task import Config, Seeds
from harness.training.robust_error import Attack

FIRST_LOSSES = ("ramp", "squared hinge", "logistic")
"""The first trainings against balls, one for each."""

AIMS = (1.0, 1.04, 1.08, 1.13, 1.19)
"""Radii of the later trainings, over the largest radius found so far."""

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Gradient penalties of the first trainings, in squared data units."""

STRENGTH_STEPS = (0.5, 0.75, 1.0, 1.5, 2.0)
"""Gradient penalties of the later trainings, over that of the best so far."""

PENALTY = "gradient penalty"
"""The name of the way that uses it."""

LATER_SHARE = 0.4
"""Epochs of a later training, over those of a first one."""

ROUNDS = 3
"""Rounds of later trainings, at most."""

GAIN = 1.01
"""A round that multiplies the largest radius by less is the last."""

EXPECTED_ROUNDS = 2
"""Rounds that a search is planned with."""

PASSES_PER_EPOCH = 2.5
"""Passes to the input that take as long as an epoch: one of the attack, and one of training."""

VERIFIED_AS = 400.0
"""Epochs of one model that take as long as its verification."""

LEAST = 1e-3
"""The smallest radius that is searched, in data units."""

MOST = 1.0
"""The largest, in data units: S and training radii end there, too."""

SELECTION = Attack(steps=20, starts=1)
"""Attack that compares candidates."""

SELECTION_ROUNDS = 8
"""Bisections of a candidate's radius."""


class Effort(NamedTuple):
    """Epochs that a search is expected to take."""

    one_after_another: float
    """While all candidates of a stack train at once."""
    of_all_models: float
    """Added up over candidates."""


def expected_effort(config: Config) -> Effort:
    """Return the epochs of a search with EXPECTED_ROUNDS rounds, comparisons and verification
    counted as the epochs that take as long."""
    first, later = config.max_epochs, later_epochs(config)
    compared = SELECTION.steps * (SELECTION_ROUNDS + 1) / PASSES_PER_EPOCH

    one_after_another = first + compared + EXPECTED_ROUNDS * (later + compared)
    of_all = first_trainings(config) * (first + compared)
    of_all += EXPECTED_ROUNDS * len(AIMS) * (later + compared)
    return Effort(one_after_another + VERIFIED_AS, of_all + VERIFIED_AS)


def epochs_of(config: Config, trainings: int) -> int:
    """Return the epochs of all trainings of a search."""
    first = first_trainings(config)
    return first * config.max_epochs + (trainings - first) * later_epochs(config)


def first_trainings(config: Config) -> int:
    """Return how many trainings a search begins with."""
    return len(FIRST_LOSSES if config.frontier == "adversary" else STRENGTHS)


def search_seeds(config: Config, seeds: Seeds) -> Seeds:
    """Return the seeds of initial weights and search, which a configuration may set apart from
    those of the data."""
    return seeds if config.search_seed is None else Seeds(config.search_seed)


def search_of(config: Config) -> tuple[str, int] | None:
    """Return what must be equal for all searches of one stack; None where nothing is searched."""
    return (config.frontier, config.max_epochs) if config.frontier else None


def candidates_together(config: Config) -> int:
    """Return how many copies of a model a search trains at once, at most; 1 without a search."""
    return max(len(FIRST_LOSSES), len(AIMS)) if config.frontier else 1


def later_epochs(config: Config) -> int:
    """Return the epochs of each later training."""
    return max(1, round(LATER_SHARE * config.max_epochs))


def epochs_at_most(config: Config) -> int:
    """Return the most epochs that a trial can take, over all trainings of a search."""
    if not config.frontier:
        return config.max_epochs
    return epochs_of(config, first_trainings(config) + ROUNDS * len(AIMS))
