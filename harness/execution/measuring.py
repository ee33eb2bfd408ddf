"""Measure trained models together, whether they were trained together or apart.

Models of one structure on one kind of data are measured as one program: neighbouring sizes, where
padding the smaller models costs less than another program does.
"""

import math
import time
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from torch.nn.modules.conv import _ConvNd

from harness.execution.failures import PASSED_ON, caught
from harness.execution.prepared import Prepared
from harness.execution.trial_result import TrialResult
from harness.measures import Measured, measure
from harness.measures.counts import count_saved_bytes
from harness.process_state import own_process_state
from harness.training.stack import stack

PROGRAM_BYTES = {"cpu": 2_000, "cuda": 2_000_000}
"""A program of its own takes as much longer, by starting each operation, as this many further bytes
of activations per point do. On two layers over 16 numbers it is the step from 64 neurons to 300
(LOG.md). On a GPU work is about a thousand times faster, and starting an operation is not."""

Points = int | tuple[int, int, int]
"""The numbers of `PointCounts`, or one number for all."""


class TimedMeasures(NamedTuple):
    """What was measured of a model, or the failure to; and its share of the seconds."""

    found: Measured | TrialResult
    seconds: float


def measure_together(members: Sequence[Prepared], points: Points) -> list[TimedMeasures]:
    """Return what is measured of each trained model, in order. Models that were measured together
    share the seconds equally; a model that cannot be measured costs only its own trial."""
    results: dict[int, TimedMeasures] = {}
    for positions in _programs(members):
        clock = time.perf_counter()
        found = _measure_or_fail([members[i] for i in positions], points)
        seconds = (time.perf_counter() - clock) / len(positions)

        for i, of_model in zip(positions, found, strict=True):
            results[i] = TimedMeasures(of_model, seconds)
    return [results[i] for i in range(len(members))]


def _programs(members: Sequence[Prepared]) -> Iterator[list[int]]:
    """Yield the positions of models that become one program. Those that share a data set lie side
    by side, so that their whole held-out sets are passed at once."""
    alike: dict[Hashable, list[int]] = defaultdict(list)
    for i, member in enumerate(members):
        alike[_kind(member)].append(i)

    for positions in alike.values():
        if len(positions) == 1:
            yield positions
            continue

        size = {i: _activations(members[i]) for i in positions}
        device = members[positions[0]].data.x_train.device.type
        for together in _worth_padding(sorted(positions, key=size.__getitem__), size, device):
            yield sorted(
                together, key=lambda i: (len(members[i].data.x_train), members[i].data_hash)
            )


def _worth_padding(
    positions: list[int], size: dict[int, float], device: str
) -> Iterator[list[int]]:
    """Cut models in order of size where padding all to the next one's size would cost more than the
    programs saved."""
    together = positions[:1]
    for i in positions[1:]:
        padding = sum(size[i] - size[smaller] for smaller in together)
        if padding <= PROGRAM_BYTES[device] * len(together):
            together.append(i)
            continue
        yield together
        together = [i]
    yield together


def _kind(member: Prepared) -> Hashable:
    """Return a value that is equal for models that may be stacked and share structure, input space
    and kind of target.

    On a CPU it differs for all models with convolutions: two CNNs as one program take 1.15 times as
    long as one after the other (LOG.md).
    """
    data = member.data
    modules = dict(member.model.named_modules())
    convolves = any(isinstance(m, _ConvNd) for m in modules.values())
    apart = not member.task.stackable or (convolves and data.x_train.device.type == "cpu")
    return (
        member.trial.ref,
        id(member.model) if apart else tuple((name, type(m)) for name, m in modules.items()),
        data.x_train.shape[1:],
        data.classes,
        data.manifold,
        data.box,
    )


def _activations(member: Prepared) -> float:
    """Return the bytes of a model's activations per sample. They are infinite for a model that
    raises when it is called: it is measured, and fails, by itself."""
    found = caught(_saved_bytes, member)
    return math.inf if isinstance(found, TrialResult) else found


@own_process_state()
def _saved_bytes(member: Prepared) -> int:
    return count_saved_bytes(member.model.eval(), member.data.x_train.shape[1:])


def _measure_or_fail(
    members: Sequence[Prepared], points: Points
) -> Sequence[Measured | TrialResult]:
    """Measure models together; when that fails, each by itself."""
    if len(members) > 1:
        try:
            return _measure(members, points)
        except PASSED_ON:
            raise
        except BaseException:
            # What failed is measured again below, outside the except clause, whose traceback holds
            # the program in memory.
            pass
    return [caught(_measure_one, member, points) for member in members]


def _measure_one(member: Prepared, points: Points) -> Measured:
    (measured,) = _measure([member], points)
    return measured


@own_process_state()
def _measure(members: Sequence[Prepared], points: Points) -> list[Measured]:
    samples = [member.data for member in members]
    seeds = [member.seeds for member in members]
    program = stack([member.model for member in members], samples[0].x_train[:4])
    return measure(program, samples, seeds, points)
