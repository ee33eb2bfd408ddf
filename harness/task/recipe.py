"""The recipe of a sample task's training: which of its fields go together, and what they are when
they are left out.

The recipe is part of a finding: the slope of GPTs in p moves with the learning rate.
"""

from typing import Any, Literal

Optimiser = Literal["adam", "adamw", "sgd"]

SGD_MOMENTUM = 0.9
"""As in the recipes of image classifiers (He et al. 2016, section 4.2, of residual networks)."""

RECIPE = ("optimiser", "momentum", "weight_decay", "warmup_steps", "init_scale")
"""The fields of a recipe beside learning rate and batch size. All are None by default."""


def complete_recipe(config: Any) -> dict[str, Any]:
    """Return the recipe fields to change, with their new values, so that equal recipes are spelt
    alike: a default that was written out becomes None. Raise ValueError where fields contradict
    each other.
    """
    optimiser = None if config.optimiser == "adam" else config.optimiser
    if config.momentum is not None and optimiser != "sgd":
        raise ValueError(
            f"'momentum' is {config.momentum} and belongs to optimiser 'sgd'; the optimiser is"
            f" '{optimiser or 'adam'}'"
        )
    if optimiser == "adamw" and not config.weight_decay:
        raise ValueError(
            "optimiser 'adamw' needs 'weight_decay', a number above 0; without one it is 'adam'"
        )

    found: dict[str, Any] = {"optimiser": optimiser}
    if optimiser == "sgd" and config.momentum is None:
        found["momentum"] = SGD_MOMENTUM
    if type(config).model_fields["weight_decay"].default is None and config.weight_decay == 0:
        found["weight_decay"] = None
    if config.warmup_steps == 0:
        found["warmup_steps"] = None
    if config.init_scale == 1:
        found["init_scale"] = None

    written = [name for name in RECIPE if name in config.model_fields_set]
    own = [name for name in written if found.get(name, getattr(config, name)) is not None]
    if config.frontier and own:
        name = own[0]
        raise ValueError(
            f"'{name}' is {getattr(config, name)!r} and frontier '{config.frontier}' brings its own"
            " recipe; leave one of them out"
        )
    return found
