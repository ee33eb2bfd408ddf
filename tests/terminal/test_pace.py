"""The time left of a run, against planted batch times on a clock of the test's own.

Run alone: python -m pytest tests/terminal/test_pace.py
"""

import heapq
import random
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from harness.terminal.pace import Pace, in_words


class Moment(NamedTuple):
    """The estimate at one moment, and the truth."""

    share_done: float
    share_of_time: float
    estimated: float
    true: float


def moments(
    seconds: list[float], expected: list[float], workers: int, expected_factor: float | None
) -> Iterator[Moment]:
    """Run planted batches in order on some workers, and yield the estimate at each end of a batch
    and between two."""
    work = {str(i): e for i, e in enumerate(expected)}
    pace = Pace(work, expected_factor, [[i] for i in work], workers)
    began = {}
    running: list[tuple[float, int]] = []
    waiting = list(range(len(seconds)))
    free_at = [0.0] * workers
    for took in seconds:
        first = free_at.index(min(free_at))
        free_at[first] += took
    whole = max(free_at)

    now = 0.0
    over = 0.0
    while waiting or running:
        while waiting and len(running) < workers:
            i = waiting.pop(0)
            began[i] = now
            pace.begin([str(i)], now)
            heapq.heappush(running, (now + seconds[i], i))

        ends, i = heapq.heappop(running)
        between = (now + ends) / 2
        yield Moment(
            over / sum(expected), between / whole, pace.left(between) or 0.0, whole - between
        )
        now = ends
        pace.end([str(i)], now)
        pace.settle(str(i))
        over += expected[i]
        yield Moment(over / sum(expected), now / whole, pace.left(now) or 0.0, whole - now)


@pytest.mark.slow
@pytest.mark.parametrize("slower", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("workers", [1, 2, 16])
@pytest.mark.parametrize("order", ["longest first", "as they come"])
def test_after_a_tenth_of_the_work_the_time_left_is_within_a_factor_of_3(
    slower: float, workers: int, order: str
):
    """Batches of sizes that scatter by a factor of two, and whose times scatter by a tenth around
    `slower` times what was expected. In the last 15 % of the time a single batch decides, whose own
    scatter may be more than what is left of it."""
    dice = random.Random(f"{slower} {workers} {order}")
    judged = 0
    for _ in range(6):
        expected = [dice.lognormvariate(0, 0.7) for _ in range(50 + 10 * workers)]
        if order == "longest first":
            expected.sort(reverse=True)
        seconds = [slower * e * dice.lognormvariate(0, 0.1) for e in expected]
        for moment in moments(seconds, expected, workers, expected_factor=1.35):
            if moment.share_done >= 0.1 and moment.share_of_time < 0.85:
                judged += 1
                assert moment.true / 3 <= moment.estimated <= 3 * moment.true, moment
    assert judged > 300


@pytest.mark.parametrize("workers", [1, 2, 16])
@pytest.mark.parametrize("batches", [20, 400])
@pytest.mark.parametrize("order", ["longest first", "shortest first"])
def test_after_the_first_batch_a_run_ten_times_quicker_than_forecast_is_seen_to_be(
    workers: int, batches: int, order: str
):
    """A forecast of 835 s for 78 s, whatever part of the work the first batch is. Near the end the
    batches under way decide."""
    dice = random.Random(f"{workers} {batches}")
    expected = sorted(dice.lognormvariate(0, 0.7) for _ in range(batches))
    if order == "longest first":
        expected.reverse()
    seconds = [0.1 * 1.35 * e for e in expected]
    after_the_first = [
        moment
        for moment in moments(seconds, expected, workers, expected_factor=1.35)
        if moment.share_done > 0 and moment.share_of_time < 0.85
    ]
    assert after_the_first
    for moment in after_the_first:
        assert moment.true / 2 <= moment.estimated <= 2 * moment.true, moment


@pytest.mark.parametrize("workers", [1, 4])
def test_two_kinds_of_batches_of_which_one_takes_two_and_a_half_times_as_long(workers: int):
    expected = [10.0] * 40
    for slow_first in (True, False):
        factors = [2.5] * 20 + [1.0] * 20 if slow_first else [1.0] * 20 + [2.5] * 20
        seconds = [f * e for f, e in zip(factors, expected, strict=True)]
        for moment in moments(seconds, expected, workers, expected_factor=1.35):
            if moment.share_done >= 0.1 and moment.share_of_time < 0.9:
                assert moment.true / 3 <= moment.estimated <= 3 * moment.true, moment


def test_a_minute_is_never_said_to_be_two_seconds():
    """The forecast says two seconds, and a batch has been at work for a minute."""
    pace = Pace({"a": 1.0, "b": 1.0, "c": 1.0}, expected_factor=1.35)
    pace.begin("a", now=0.0)
    left = [pace.left(now=float(s)) or 0.0 for s in range(1, 61)]
    assert left[0] < 5
    assert left[-1] > 60, "two more batches of at least a minute each"
    assert all(late >= early for early, late in zip(left[5:], left[6:], strict=False))


def test_a_lone_batch_that_takes_far_longer_than_forecast_is_not_said_to_be_nearly_over():
    """The forecast says a second, and the only batch has been at work for many."""
    pace = Pace({"a": 1.0}, expected_factor=1.0, batches=[["a"]])
    pace.begin("a", now=0.0)
    for been in (5.0, 20.0, 60.0):
        assert pace.left(now=been) == pytest.approx(been / 2)


def test_a_batch_that_takes_longer_at_a_pace_that_is_known_is_nearly_over():
    pace = Pace({"a": 10.0, "b": 10.0}, expected_factor=1.0, batches=[["a"], ["b"]])
    pace.begin("a", now=0.0)
    pace.begin("b", now=0.0)
    pace.end("a", now=10.0)
    pace.settle("a")
    assert pace.left(now=14.0) == pytest.approx(0.15 * 14.0)


def test_a_first_trial_that_is_little_of_the_work_does_not_say_hours():
    pace = Pace({"small": 0.1, "large": 99.9}, expected_factor=1.0)
    pace.begin(["small"], now=0.0)
    pace.end(["small"], now=5.0)
    pace.settle("small")
    assert 80 < (pace.left(now=5.0) or 0.0) < 300, "and not the 5 000 s of its own pace"


def test_without_an_expectation_the_first_batch_has_to_end():
    pace = Pace({"a": 0.0, "b": 0.0}, expected_factor=None)
    pace.begin(["a"], now=0.0)
    assert pace.left(now=50.0) is None
    pace.end(["a"], now=60.0)
    pace.settle("a")
    assert pace.left(now=60.0) == pytest.approx(60.0)


def test_a_batch_that_runs_again_is_work_that_is_left():
    pace = Pace({"a": 10.0, "b": 10.0}, expected_factor=1.0)
    for _ in range(2):  # lost, and begun anew
        pace.begin(["a", "b"], now=0.0)
        pace.end(["a", "b"], now=20.0)
    assert pace.left(now=20.0) == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (60, "60 s"),
        (100, "2 min"),
        (3600, "1 h"),
        (7900, "2 h 12 min"),
        (90_000, "1 d 1 h"),
        (172_800, "2 d"),
    ],
)
def test_durations_in_words(seconds: float, words: str):
    assert in_words(seconds) == words
