"""How a group of a stack steps: the optimiser, and what of its recipe may differ between groups."""

from typing import NamedTuple

from harness.task import Config
from harness.task.recipe import Optimiser


def has_second_moments(optimiser: Optimiser | None) -> bool:
    """Return whether an optimiser, Adam for None, keeps second moments, and counts its steps."""
    return optimiser != "sgd"


class Rule(NamedTuple):
    """What all groups of a stack share, because it is one call of one kernel."""

    optimiser: Optimiser = "adam"
    momentum: float = 0.0
    """sgd: the share of the last step that is added to the next."""


ADAM = Rule()


class Recipe(NamedTuple):
    """The recipe of one group."""

    rule: Rule = ADAM
    weight_decay: float = 0.0
    """On matrices alone."""
    warmup_steps: int = 0

    def rate(self, lr: float, steps_done: int) -> float:
        """Return the learning rate of the next step."""
        return warmed_up(lr, steps_done, self.warmup_steps)


def warmed_up(lr: float, steps_done: int, warmup_steps: int) -> float:
    """Return the learning rate of the next step: in the first w = warmup_steps steps lr·1/(w + 1),
    lr·2/(w + 1), …, from then on lr."""
    if steps_done >= warmup_steps:
        return lr
    return lr * (steps_done + 1) / (warmup_steps + 1)


def recipe_of(config: Config) -> Recipe:
    """Return the recipe that a configuration asks for."""
    rule = Rule(config.optimiser or "adam", config.momentum or 0.0)
    return Recipe(rule, config.weight_decay or 0.0, config.warmup_steps or 0)
