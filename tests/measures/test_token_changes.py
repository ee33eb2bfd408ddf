"""Changed tokens: which kinds of change at which distances, what stays unchanged, and what is
drawn.

Run alone: python -m pytest tests/measures/test_token_changes.py
"""

import math
import string

import pytest
import torch

from harness.measures.token_changes import DISTANCES, SLIPS, token_changes
from harness.task import Text
from tests.measures.token_windows import generator, text


@pytest.mark.parametrize(
    ("length", "distances"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 4]), (32, [1, 2, 4, 8, 16, 32])]
)
@pytest.mark.parametrize("byte_tokens", [False, True])
def test_kinds_and_distances_that_the_windows_allow(
    length: int, distances: list[int], byte_tokens: bool
):
    """The first token of a window has no neighbour before it to swap with, and only bytes are
    mistyped."""
    found = [
        (c.kind, c.distance)
        for c in token_changes(
            text(3, length, 250, byte_tokens=byte_tokens), torch.arange(3), generator()
        )
    ]
    expected = {
        "replaced": distances,
        "swapped": [d for d in distances if d < length],
        "typo": distances if byte_tokens else [],
    }
    assert found == [(kind, d) for kind in expected for d in expected[kind]]


def test_distances_are_powers_of_two_up_to_1024():
    assert DISTANCES == tuple(2**k for k in range(11))
    assert token_changes(text(1, 1500, 3), torch.arange(1), generator())[-1].distance == 1024


@pytest.mark.parametrize("byte_tokens", [False, True])
def test_only_the_named_place_changes(byte_tokens: bool):
    about = text(50, 20, 200, byte_tokens=byte_tokens)
    rows = torch.arange(49, -1, -2)
    before = about.tokens.clone()
    for change in token_changes(about, rows, generator()):
        at = (
            [20 - change.distance]
            if change.kind != "swapped"
            else [20 - change.distance - 1, 20 - change.distance]
        )
        others = [t for t in range(20) if t not in at]
        assert torch.equal(change.tokens[:, others], before[rows][:, others]), change
        if change.kind == "swapped":
            assert torch.equal(change.tokens[:, at], before[rows][:, at[::-1]])
        else:
            assert bool((change.tokens[:, at] != before[rows][:, at]).all())
    assert torch.equal(about.tokens, before)


def test_replacements_are_uniform_over_the_other_tokens_that_occur():
    """The text holds tokens 3, 5, 8 of a vocabulary of ten, and 8 never at the changed place."""
    n = 30_000
    windows = torch.tensor([[8, 3], [8, 5]]).repeat(n, 1)
    replaced = token_changes(Text(windows, torch.eye(10)), torch.arange(2 * n), generator())[0]
    assert (replaced.kind, replaced.distance) == ("replaced", 1)
    for old, others in ((3, [5, 8]), (5, [3, 8])):
        fresh = replaced.tokens[windows[:, 1] == old, 1]
        kinds, counts = fresh.unique(return_counts=True)
        assert kinds.tolist() == others
        assert float((counts - n / 2).abs().max()) < 4 * math.sqrt(n / 4)


@pytest.mark.parametrize(
    ("key", "beside"),
    [
        ("g", "fhtyvb"),
        ("q", "wa"),
        ("p", "ol"),
        ("a", "qwsz"),
        ("z", "asx"),
        ("m", "njk"),
        ("l", "kop"),
        ("G", "FHTYVB"),
        ("P", "OL"),
    ]
    + [("1", "2"), ("5", "46"), ("0", "9")],
)
def test_keys_beside_a_key(key: str, beside: str):
    assert bytes(SLIPS[ord(key)]).decode() == "".join(sorted(beside))


def test_slips_of_every_byte():
    """Letters become letters of their case, digits digits, other bytes printable ones. Being
    neighbours is mutual, and no key is its own neighbour."""
    assert len(SLIPS) == 256
    for byte, slips in enumerate(SLIPS):
        assert slips and byte not in slips and len(set(slips)) == len(slips)
        for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
            if chr(byte) in kind:
                assert {chr(s) for s in slips} < set(kind)
                assert all(byte in SLIPS[s] for s in slips)
                break
        else:
            assert set(slips) == set(range(0x20, 0x7F)) - {byte}


def test_typos_are_drawn_evenly_from_the_slips():
    n = 12_000
    windows = torch.full((n, 1), ord("g"))
    typo = token_changes(
        Text(torch.cat([windows, windows + 1]), torch.eye(256), byte_tokens=True),
        torch.arange(n),
        generator(),
    )[-1]
    kinds, counts = typo.tokens.unique(return_counts=True)

    assert typo.kind == "typo" and kinds.tolist() == SLIPS[ord("g")]
    assert float((counts - n / 6).abs().max()) < 4 * math.sqrt(n * 5 / 36)
