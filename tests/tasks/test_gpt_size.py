"""How many parameters a GPT has, by formula and as published.

Run alone: python -m pytest tests/tasks/test_gpt_size.py
"""

import pytest
import torch

from harness.measures.counts import Group, count_parameters
from tasks.gpt import WindowGPT, size_of_depth, stream_gpt


def body_groups(layers: int, width: int, context: int) -> set[Group]:
    """Everything but the tables of tokens."""
    attention = (width + 1) * 3 * width + (width + 1) * width
    mlp = (width + 1) * 4 * width + (4 * width + 1) * width
    norm = (2 * layers + 1) * 2 * width
    return {
        Group("position", context * width, 0),
        Group("attention", layers * attention, 0),
        Group("mlp", layers * mlp, 0),
        Group("norm", norm, 0),
    }


def body_size(layers: int, width: int, context: int) -> int:
    return sum(group.trainable for group in body_groups(layers, width, context))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layers", "width", "heads", "published"),
    [
        (12, 768, 12, 124_439_808),
        (24, 1024, 16, 354_823_168),
        (36, 1280, 20, 774_030_080),
        (48, 1600, 25, 1_557_611_200),
    ],
)
def test_gpt2_counts_as_published(layers: int, width: int, heads: int, published: int):
    with torch.device("meta"):
        assert (
            count_parameters(stream_gpt(layers, width, heads, 1024, 50257)).trainable == published
        )


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize(("context", "vocabulary"), [(2, 256), (128, 256), (1024, 50257)])
@pytest.mark.parametrize(
    ("layers", "width", "heads"), [(1, 8, 1), (2, 32, 4), (5, 96, 6), (16, 1024, 16)]
)
def test_stream_counts_by_formula(
    layers: int, width: int, heads: int, context: int, vocabulary: int, tied: bool
):
    with torch.device("meta"):
        counts = count_parameters(stream_gpt(layers, width, heads, context, vocabulary, tied))
    assert (counts.trainable, counts.frozen) == (
        body_size(layers, width, context) + (2 - tied) * vocabulary * width,
        0,
    )


@pytest.mark.slow
@pytest.mark.parametrize("d_in", [1, 64])
@pytest.mark.parametrize(("context", "vocabulary"), [(2, 256), (128, 256), (1024, 50257)])
@pytest.mark.parametrize(("layers", "width", "heads"), [(1, 8, 1), (2, 32, 4), (16, 1024, 16)])
def test_window_counts_by_formula(
    layers: int, width: int, heads: int, context: int, vocabulary: int, d_in: int
):
    with torch.device("meta"):
        counts = count_parameters(WindowGPT(d_in, width, layers, heads, context, vocabulary))
    embedding, head = Group("embedding", d_in * width, 0), Group("head", width * vocabulary, 0)
    assert set(counts.groups) == {embedding, head, *body_groups(layers, width, context)}
    assert counts.trainable == d_in * width + body_size(layers, width, context) + width * vocabulary


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_a_tied_table_is_an_embedding_and_no_head(tied: bool):
    with torch.device("meta"):
        counts = count_parameters(stream_gpt(2, 32, 4, 128, 256, tied))
    tables = (
        {Group("embedding", 256 * 32, 0)}
        if tied
        else {Group("embedding", 256 * 32, 0), Group("head", 256 * 32, 0)}
    )
    assert set(counts.groups) == tables | body_groups(2, 32, 128)


DEPTHS = {
    1: (16, 2, 9_456),
    2: (32, 4, 37_760),
    4: (64, 4, 224_640),
    8: (256, 4, 6_416_896),
    12: (576, 9, 48_087_936),
    16: (1024, 16, 201_934_848),
    20: (1280, 20, 394_042_880),
    28: (1792, 28, 1_080_328_704),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "width", "heads", "parameters"), [(d, *row) for d, row in DEPTHS.items()]
)
def test_one_dial_sets_the_size(depth: int, width: int, heads: int, parameters: int):
    assert size_of_depth(depth) == (width, heads)
    with torch.device("meta"):
        assert count_parameters(stream_gpt(depth, width, heads, 128, 256)).trainable == parameters
    assert f"| {depth:>5} | {width:>5} | {heads:>5} | {parameters:>13,}".replace(",", " ") in (
        size_of_depth.__doc__ or ""
    )


def test_every_depth_is_wider_than_the_one_before_and_its_heads_have_a_sensible_size():
    sizes = [size_of_depth(depth) for depth in range(1, 129)]
    assert all(a[0] < b[0] for a, b in zip(sizes, sizes[1:], strict=False))
    for depth, (width, heads) in enumerate(sizes, start=1):
        assert width % heads == 0 and width // heads in (8, 16, 32, 64)
        assert 16 * depth <= width * 1.1 and width <= 64 * depth * 1.1
