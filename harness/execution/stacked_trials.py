"""Which trials of a batch train as one program, once their data and models are made."""

from collections.abc import Sequence
from typing import Any

from harness.execution.prepared import Prepared
from harness.training.adversary import adversary_of
from harness.training.frontier_plan import search_of
from harness.training.recipe import recipe_of


def group_key(prepared: Prepared) -> tuple[Any, ...]:
    """Models with equal keys see the same samples in the same order by the same recipe, against the
    same adversary, or in the same search."""
    return (
        id(prepared.data),
        prepared.trial.seed,
        prepared.config.rate,
        prepared.config.samples_per_step,
        recipe_of(prepared.config),
        *_shared_by_stack(prepared),
    )


def _shared_by_stack(prepared: Prepared) -> tuple[Any, ...]:
    """Return what all groups of one stack must have in common."""
    config = prepared.config
    return (
        recipe_of(config).rule,
        config.check_every,
        adversary_of(config),
        search_of(config),
    )


def stacks_of(prepared: dict[int, Prepared]) -> list[list[int]]:
    """Cut the trials into stacks, each a list of positions, group after group.

    If all groups have the same number of trials and the same kind of samples, they form one stack.
    Otherwise each group is a stack of its own.
    """
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, one in prepared.items():
        groups.setdefault(group_key(one), []).append(i)

    kinds = set()
    for positions in groups.values():
        first = prepared[positions[0]]
        data = first.data
        training = (first.config.samples_per_step, *_shared_by_stack(first))
        targets = data.trained_on.shape
        kinds.add((len(positions), data.x_train.shape, targets, data.classes, data.box, training))

    if len(kinds) == 1:
        return [[i for positions in groups.values() for i in positions]]
    return list(groups.values())


def stacks_of_one_shape(members: Sequence[Prepared]) -> list[list[int]]:
    """Cut trials whose models cannot be padded to one shape into stacks of one shape each, lists of
    positions."""
    by_shape: dict[tuple[Any, ...], dict[int, Prepared]] = {}
    for i, member in enumerate(members):
        shapes = tuple([tuple(p.shape) for p in member.model.parameters()])
        by_shape.setdefault(shapes, {})[i] = member
    return [stack for alike in by_shape.values() for stack in stacks_of(alike)]
