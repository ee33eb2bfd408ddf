"""Count parameters by group, FLOPs and saved bytes. Everything works on the meta device.

Scaling conclusions depend on which parameters are counted: in nanochat, the best number of tokens
per parameter moved from 20 to 10.5 to 4 with the convention. So groups are kept apart, and their
sum is checked against `numel`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from harness.measures.counted_pass import count_pass


class Group(NamedTuple):
    """Parameters of one top-level module."""

    group: str
    trainable: int
    frozen: int


class Counts(NamedTuple):
    """`trainable` is the law's p. A tied tensor counts once, in the first group that holds it."""

    trainable: int
    frozen: int
    groups: tuple[Group, ...]


def count_parameters(model: nn.Module) -> Counts:
    """Count parameters by top-level module, looking through wrappers that hold a single
    parametrised child.

    A model's own method `group_of`, which maps a parameter's name to a group's, takes precedence.
    """
    total = sum(p.numel() for p in model.parameters())
    sizes: dict[str, list[int]] = {}
    for name, p in _grouped(model):
        trainable_and_frozen = sizes.setdefault(name, [0, 0])
        trainable_and_frozen[not p.requires_grad] += p.numel()

    groups = tuple(Group(name, *both) for name, both in sizes.items() if any(both))
    trainable = sum(group.trainable for group in groups)
    frozen = sum(group.frozen for group in groups)
    if trainable + frozen != total:
        raise AssertionError(f"parameter groups sum to {trainable + frozen}, numel to {total}")
    return Counts(trainable, frozen, groups)


def _grouped(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield every parameter once, with its group."""
    group_of = getattr(model, "group_of", None)
    if group_of:
        yield from ((group_of(name), p) for name, p in model.named_parameters())
        return

    root = _without_wrappers(model)
    groups = [("parameters", list(root.parameters(recurse=False)))]
    groups += [(name, list(child.parameters())) for name, child in root.named_children()]
    counted: set[int] = set()
    for name, parameters in groups:
        for p in parameters:
            if id(p) not in counted:
                counted.add(id(p))
                yield name, p


def _without_wrappers(model: nn.Module) -> nn.Module:
    """Return the module inside wrappers that hold a single child with parameters, and none of their
    own."""
    root = model
    while not list(root.parameters(recurse=False)):
        holders = [child for child in root.children() if any(True for _ in child.parameters())]
        if len(holders) != 1:
            break
        root = holders[0]
    return root


def params_per_number(
    p: int, n: float, d_ambient: int, measured: Mapping[str, Any]
) -> dict[str, float | None]:
    """Return the law's variable p/(n·d) for every d: the ambient dimension, and the estimates among
    the measured columns (None where the estimate is)."""
    dimensions = {
        "ambient": d_ambient,
        "participation": measured.get("d_participation"),
        "twonn": measured.get("d_twonn"),
        "mle": measured.get("d_mle"),
    }
    return {
        f"p_over_nd_{name}": p / (n * d) if d is not None and d > 0 else None
        for name, d in dimensions.items()
    }


def count_training_flops(
    model: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype = torch.float32
) -> int:
    """Return the FLOPs of one forward and backward pass per sample (matmuls and convolutions)."""
    return count_pass(model, input_shape, dtype).flops


def count_saved_bytes(
    model: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype = torch.float32
) -> int:
    """Return the bytes that autograd keeps between forward and backward per sample, without the
    parameters."""
    return count_pass(model, input_shape, dtype).saved_bytes
