"""A batch cut in two, and a batch with some of its trials alone.

Run alone: python -m pytest tests/sweeps/test_batch.py
"""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sweeps.registry import TaskRef
from harness.sweeps.trial import Batch, Trial

TASK = TaskRef("toy")


def batch(*stacks: str) -> Batch:
    """Trials named by single letters."""
    return Batch(tuple(tuple(Trial(name, TASK, {}, 0) for name in stack) for stack in stacks))


def names(batch: Batch) -> list[str]:
    return ["".join(t.trial_id for t in stack) for stack in batch.stacks]


HALVES = {
    "two of a stack": (["ab"], ["a"], ["b"]),
    "three of a stack": (["abc"], ["a"], ["bc"]),
    "five of a stack": (["abcde"], ["ab"], ["cde"]),
    "two stacks": (["ab", "c"], ["ab"], ["c"]),
    "three stacks": (["abc", "d", "ef"], ["abc"], ["d", "ef"]),
    "four stacks of one": (["a", "b", "c", "d"], ["a", "b"], ["c", "d"]),
}


@pytest.mark.parametrize("case", HALVES.values(), ids=HALVES.keys())
def test_halves(case: tuple[list[str], list[str], list[str]]):
    whole, first, second = case
    assert [names(half) for half in batch(*whole).halves()] == [first, second]


def test_one_trial_has_no_halves():
    with pytest.raises(ValueError, match="no halves"):
        batch("a").halves()


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ("abcdef", ["abc", "d", "ef"]),
        ("bf", ["b", "f"]),
        ("d", ["d"]),
        ("ca", ["ac"]),
        ("", []),
        ("xyz", []),
    ],
)
def test_only_some(wanted: str, left: list[str]):
    assert names(batch("abc", "d", "ef").only(wanted)) == left


@pytest.mark.slow
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) > 1))
def test_halving_ends_at_single_trials_and_loses_none(sizes: list[int]):
    letters = iter("abcdefghijklmnopqrst")
    whole = batch(*("".join(itertools.islice(letters, size)) for size in sizes))

    def leaves(part: Batch) -> Iterator[str]:
        if len(part.trials) == 1:
            yield part.trials[0].trial_id
            return
        for half in part.halves():
            assert half.trials
            yield from leaves(half)

    assert list(leaves(whole)) == [t.trial_id for t in whole.trials]
