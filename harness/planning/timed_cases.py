"""Which networks are timed on a kind of device: from steps that wait for the next call to steps
that fill the device."""

from typing import NamedTuple


class Mlps(NamedTuple):
    """Stacked MLPs of one hidden layer; a single one is timed alone."""

    d: int
    width: int
    batch: int = 64
    models: int = 1


class Cases(NamedTuple):
    """What is timed. Sizes are (width or capacity, models)."""

    alone: tuple[Mlps, ...]
    stacked: tuple[Mlps, ...]
    cnns_alone: tuple[tuple[int, int], ...]
    cnns_stacked: tuple[tuple[int, int], ...]
    gpts_alone: tuple[tuple[int, int], ...]
    gpts_stacked: tuple[tuple[int, int], ...]
    measured: tuple[Mlps, ...]
    vocabulary: tuple[tuple[int, int], ...]
    """GPTs whose measuring is timed. Where there are none, it follows from the steps of GPTs alone
    (`VOCABULARY_CALLS`), since timing it would take a processor longer than all other cases."""


ON_CPU = Cases(
    alone=(
        Mlps(16, 16),
        Mlps(16, 512),
        Mlps(8, 2048),
        Mlps(784, 8),
        Mlps(784, 64),
        Mlps(784, 64, 256),
        Mlps(784, 512),
        Mlps(784, 512, 256),
    ),
    stacked=tuple(
        Mlps(d, width, batch, models)
        for d, width, batch in (
            (16, 8, 64),
            (16, 128, 64),
            (8, 512, 64),
            (16, 128, 256),
            (784, 4, 64),
            (784, 16, 64),
            (784, 32, 256),
            (784, 64, 64),
        )
        for models in (4, 16)
    ),
    cnns_alone=((1, 1), (2, 1), (8, 1)),
    cnns_stacked=((1, 2), (1, 8), (4, 4)),
    gpts_alone=((8, 1), (32, 1), (64, 1)),
    gpts_stacked=((8, 2), (8, 6), (32, 3)),
    measured=(
        Mlps(16, 16),
        Mlps(16, 16, models=8),
        Mlps(16, 512, models=8),
        Mlps(784, 64),
        Mlps(784, 64, models=4),
        Mlps(784, 512),
    ),
    vocabulary=(),
)

ON_GPU = Cases(
    alone=(
        Mlps(16, 16),
        Mlps(784, 64, 256),
        Mlps(784, 2048, 1024),
        Mlps(64, 8192, 4096),
        Mlps(784, 8192, 4096),
    ),
    stacked=(
        Mlps(16, 8, models=16),
        Mlps(16, 8, models=4096),
        Mlps(16, 128, 256, models=1024),
        Mlps(784, 16, models=256),
        Mlps(784, 64, 256, models=40),
        Mlps(784, 64, 256, models=1024),
        Mlps(784, 512, 256, models=128),
        Mlps(64, 128, 4096, models=64),
    ),
    cnns_alone=((1, 1), (4, 1), (16, 1)),
    cnns_stacked=((1, 16), (1, 256), (4, 64)),
    gpts_alone=((8, 1), (128, 1), (512, 1)),
    gpts_stacked=((8, 16), (8, 256), (128, 32), (256, 16)),
    measured=(
        Mlps(16, 16),
        Mlps(16, 16, models=256),
        Mlps(16, 512, models=64),
        Mlps(784, 64),
        Mlps(784, 64, models=64),
        Mlps(784, 2048, models=4),
    ),
    vocabulary=((8, 1), (8, 32), (128, 1), (128, 16)),
)
"""Stacks of up to thousands of models, since a GPU gains by a stack until it is full."""
