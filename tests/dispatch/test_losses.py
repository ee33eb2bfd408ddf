"""How Ray's accidents become kinds of failure. No cluster is started.

Run alone: python -m pytest tests/dispatch/test_losses.py
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import ray
from ray import exceptions as lost

from harness.dispatch.losses import results_of
from harness.errors import UserError
from harness.store.schema import Columns, arrow_schema
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch

BATCH = Batch(
    (parse_sweep("name: a\nseeds: [0, 1]\ntasks:\n  - task: sphere\n", "sweep.yaml").trials,)
)
LIMIT_S = 10.0

# made by protobuf, unseen by type checkers
WIRE: Any = importlib.import_module("ray.core.generated.common_pb2")


def actor_died(message: str, reason: int | None) -> lost.ActorDiedError:
    """Return the error as Ray makes it from what the head says about the actor."""
    info = None if reason is None else WIRE.NodeDeathInfo(reason=reason)
    return lost.ActorDiedError(
        WIRE.ActorDiedErrorContext(actor_id=b"\0" * 16, error_message=message, node_death_info=info)
    )


class Accident(NamedTuple):
    """An error of Ray's, and the failure that it should become."""

    error: lost.RayError
    kind: str
    words: str
    """A part of the failure's message."""
    overdue: float | None = None


ACCIDENTS = {
    "out of memory": Accident(
        lost.OutOfMemoryError("the node ran low"), "oom", "ran out of memory"
    ),
    "node died": Accident(lost.NodeDiedError("node 7 is gone"), "preempted", "the node died"),
    "columns lost with their node": Accident(
        lost.ObjectLostError("ab" * 28, None, ""), "preempted", "the node died"
    ),
    "worker died": Accident(lost.ActorDiedError(), "crash", "the worker process died"),
    "killed as overdue": Accident(
        lost.ActorDiedError(), "timeout", "did not stop at its limit of 10 s", overdue=LIMIT_S
    ),
    "worker of several died": Accident(
        lost.WorkerCrashedError(), "crash", "the worker process died"
    ),
    "node of an actor died": Accident(
        actor_died("The actor died because its node has died.", None),
        "preempted",
        "the node died",
    ),
    "node of an actor taken away": Accident(
        actor_died("The actor died.", WIRE.NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED),
        "preempted",
        "the node died",
    ),
    "node of an actor silent": Accident(
        lost.ActorUnavailableError("RpcError", b"\0" * 16), "preempted", "cannot be reached"
    ),
    "anything else": Accident(
        lost.RaySystemError("no more file handles"),
        "crash",
        "RaySystemError: System error: no more file handles",
    ),
    "exception": Accident(
        lost.RayTaskError("work", "Traceback\nImportError: unilaw is not installed", None),
        "bug",
        "ImportError: unilaw is not",
    ),
}


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Columns]]:
    """`lose(error, …)`: the columns of BATCH when Ray raises the error for it."""

    def columns(
        error: lost.RayError,
        overdue: float | None = None,
        node_leaves: Callable[[], bool] | None = None,
    ) -> list[Columns]:
        def get(ref: Any) -> Any:
            raise error

        monkeypatch.setattr(ray, "get", get)
        ref: Any = None
        results = results_of(ref, BATCH, 1.0, overdue, node_leaves)
        return [result.columns for result in results]

    return columns


def stays() -> bool:
    """The node of the batch has no notice."""
    return False


def leaves() -> bool:
    """The node of the batch has notice that it will be taken away."""
    return True


@pytest.mark.parametrize("accident", ACCIDENTS.values(), ids=ACCIDENTS.keys())
def test_every_accident_is_a_failure_row_for_each_trial(lose, accident: Accident):
    rows = lose(accident.error, accident.overdue, stays)
    assert len(rows) == 2
    for row in rows:
        assert (row["status"], row["failure_kind"]) == ("failed", accident.kind)
        assert accident.words in row["failure_message"]
        assert "\n" not in row["failure_message"]
        assert set(row) <= set(arrow_schema().names)


@pytest.mark.parametrize(("overdue", "kind"), [(None, "crash"), (LIMIT_S, "timeout")])
@pytest.mark.parametrize(
    "accident", ["node of an actor silent", "node of an actor died", "worker died"]
)
def test_on_one_machine_no_worker_dies_with_its_node(
    lose, accident: str, overdue: float | None, kind: str
):
    rows = lose(ACCIDENTS[accident].error, overdue, node_leaves=None)
    assert {row["failure_kind"] for row in rows} == {kind}


def test_the_loss_of_this_machines_ray_ends_the_run_with_a_sentence(lose):
    with pytest.raises(UserError, match="run the same command again"):
        lose(lost.LocalRayletDiedError(), node_leaves=stays)


@pytest.mark.parametrize(
    "error", [lost.WorkerCrashedError(), lost.ActorDiedError()], ids=["task", "actor"]
)
def test_a_process_that_dies_while_a_node_has_notice_to_leave_is_preempted(
    lose, error: lost.RayError
):
    rows = lose(error, node_leaves=leaves)
    assert {row["failure_kind"] for row in rows} == {"preempted"}
