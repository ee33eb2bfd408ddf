"""What a model is made of, read in one walk over its modules. A stack of a thousand models reads
each of them once."""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

OF_EVERY_MODULE = frozenset(vars(nn.Module()))
"""The attributes that torch gives every module. Of these, hooks change what a module computes."""

SIZES_OF_LINEAR = frozenset({"in_features", "out_features"})
"""Attributes that nn.Linear never reads: the shape of its weight decides."""

ATOMS = (int, float, complex, str, bytes, type(None), type, torch.dtype, torch.device)
"""Types whose equal values behave equally. Lists, tuples and dictionaries are told apart by what
they hold, values of other types by identity."""


class Anatomy(NamedTuple):
    """The parts of one model. Models with equal `structure`, `attributes` and `shapes` are one
    function of their tensors."""

    modules: Hashable
    """The names and types of all modules."""
    trained: Hashable
    """The names of all parameters, each with its `requires_grad`."""
    attributes: Hashable
    """What the modules hold besides tensors: numbers, texts, functions, hooks."""
    parameters: dict[str, nn.Parameter]
    """In the order of `nn.Module.named_parameters`, each tensor once."""
    buffers: dict[str, Tensor]
    shapes: tuple[torch.Size, ...]
    """Of all parameters, then of all buffers."""

    @property
    def structure(self) -> Hashable:
        """Return what must be equal in all models of a stack."""
        return self.modules, self.trained


def anatomy(model: nn.Module) -> Anatomy:
    """Return the parts of a model."""
    types: list[tuple[str, type]] = []
    attributes: list[Hashable] = []
    parameters: dict[str, nn.Parameter] = {}
    buffers: dict[str, Tensor] = {}

    # `named_parameters`, `named_buffers` and `named_modules` would each walk the model anew: in a
    # stack of a thousand models they take longer than the stacking.
    seen: set[int] = set()
    waiting = [("", model)]
    while waiting:
        prefix, module = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))

        kind = type(module)
        held = module.__dict__
        types.append((prefix, kind))
        attributes.append(_attributes(kind, held))

        if held["_parameters"]:
            _find(held["_parameters"], prefix, seen, parameters)
        if held["_buffers"]:
            _find(held["_buffers"], prefix, seen, buffers)
        if held["_modules"]:
            for name, child in reversed(held["_modules"].items()):
                if child is not None:
                    waiting.append((prefix + name + ".", child))

    trained = tuple([(name, p.requires_grad) for name, p in parameters.items()])
    shapes = tuple([t.shape for t in (*parameters.values(), *buffers.values())])
    return Anatomy(tuple(types), trained, tuple(attributes), parameters, buffers, shapes)


def _find(held: dict[str, Any], prefix: str, seen: set[int], found: dict[str, Any]) -> None:
    """Add a module's tensors to those that were found, each tensor once."""
    for name, tensor in held.items():
        if tensor is not None and id(tensor) not in seen:
            seen.add(id(tensor))
            found[prefix + name] = tensor


def _attributes(kind: type, held: dict[str, Any]) -> Hashable:
    """Return what a module holds besides tensors and modules, its hooks included."""
    names = _own_names(kind, tuple(held))
    own = (names, *[_value(held[name]) for name in names]) if names else ()
    if held["_forward_hooks"] or held["_forward_pre_hooks"] or held["_backward_hooks"]:
        return own, "hooks", id(held)
    return own


@lru_cache
def _own_names(kind: type, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return which attributes of a module its class has given it."""
    own = set(names) - OF_EVERY_MODULE
    if kind is nn.Linear:
        own -= SIZES_OF_LINEAR
    return tuple(sorted(own))


def _value(value: Any) -> Hashable:
    """Return a key that is equal only for values that behave equally."""
    if isinstance(value, ATOMS):
        return value
    if isinstance(value, (tuple, list)):
        return (type(value), *map(_value, value))
    if isinstance(value, dict):
        return (type(value), *[(key, _value(held)) for key, held in value.items()])
    return type(value), id(value)
