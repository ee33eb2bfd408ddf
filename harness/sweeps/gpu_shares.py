"""How much of a GPU, or how many of them, a trial is given.

Shares that are chosen here are powers of two, so that any mixture of them packs without gaps. Sizes
are in bytes.
"""

import math
from collections.abc import Callable

SMALLEST = 1 / 16
"""Below this the CUDA contexts alone, one to a process, would fill a common GPU."""

CONTEXT_BYTES = 600_000_000
"""Bytes of its GPU that a process takes before its first tensor: CUDA's context, cuBLAS, cuDNN."""


def next_share(gpus: float, most: int) -> float | None:
    """Return the next larger share, … 1/4, 1/2, 1, 2, 4 …, and at last `most` itself; None beyond
    `most`.

    >>> next_share(1 / 3, 1), next_share(0.5, 1), next_share(1, 1), next_share(4, 6)
    (0.5, 1.0, None, 6.0)
    """
    if gpus >= most:
        return None
    power = math.floor(math.log2(gpus)) + 1
    return min(2.0**power, float(most))


def smallest_fitting_share(
    bytes_on: Callable[[float], float], gpu_bytes: float, most: int
) -> float | None:
    """Return the smallest share that holds the `bytes_on(gpus)` that a trial takes of each GPU;
    None when `most` GPUs do not."""
    share: float | None = SMALLEST
    while share is not None:
        available = min(share, 1.0) * gpu_bytes
        if CONTEXT_BYTES + bytes_on(share) <= available:
            return share
        share = next_share(share, most)
    return None


def allocator_fraction(gpus: float, gpu_bytes: float) -> float:
    """Return the part of a GPU that torch's allocator may fill, so that all processes that share
    the GPU fit with their contexts."""
    if gpus >= 1:
        return 1.0
    return max(0.0, gpus - CONTEXT_BYTES / gpu_bytes)


def rounded(share: float) -> float | None:
    """Return a share 1/k as Ray counts it, in ten-thousandths and rounded down so that k fit into
    one GPU; None when it is no such share.

    >>> rounded(0.333), rounded(0.5), rounded(0.6)
    (0.3333, 0.5, None)
    """
    parts = round(1 / max(share, 0.009))
    if parts > 100 or round(share * parts, 2) != 1:
        return None
    return math.floor(10_000 / parts) / 10_000


def named(gpus: float) -> str:
    """Return the share in words.

    >>> named(0.25), named(0.3333), named(1), named(2)
    ('1/4 GPU', '1/3 GPU', '1 GPU', '2 GPUs')
    """
    if 0 < gpus < 1:
        return f"1/{math.floor(1 / gpus + 1e-9)} GPU"
    return f"{gpus:g} GPU{'' if gpus == 1 else 's'}"
