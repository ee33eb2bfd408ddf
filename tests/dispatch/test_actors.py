"""How Ray's accidents become kinds of failure, and how many trials a cluster has room for. No
cluster is started."""

import importlib
from typing import Any

import pytest
from ray import exceptions as lost

from harness.dispatch import actors
from harness.errors import UserError
from harness.store.schema import arrow_schema
from harness.sweeps.gpu_shares import SMALLEST
from harness.sweeps.sweep import Resources, parse_sweep
from harness.sweeps.trial import Batch

BATCH = Batch(
    (parse_sweep("name: a\nseeds: [0, 1]\ntasks:\n  - task: sphere\n", "sweep.yaml").trials,)
)
LIMIT_S = 10.0


# made by protobuf, unseen by type checkers
WIRE: Any = importlib.import_module("ray.core.generated.common_pb2")


def actor_died(message: str, reason: int | None) -> lost.ActorDiedError:
    """As Ray makes it from what the head says about the actor."""
    info = None if reason is None else WIRE.NodeDeathInfo(reason=reason)
    return lost.ActorDiedError(
        WIRE.ActorDiedErrorContext(actor_id=b"\0" * 16, error_message=message, node_death_info=info)
    )


ACCIDENTS = {
    "out of memory": (lost.OutOfMemoryError("the node ran low"), None, "oom", "ran out of memory"),
    "node died": (lost.NodeDiedError("node 7 is gone"), None, "preempted", "the node died"),
    "columns lost with their node": (
        lost.ObjectLostError("ab" * 28, None, ""),
        None,
        "preempted",
        "the node died",
    ),
    "worker died": (lost.ActorDiedError(), None, "crash", "the worker process died"),
    "ended as overdue": (
        lost.ActorDiedError(),
        LIMIT_S,
        "timeout",
        "did not answer its limit of 10 s",
    ),
    "worker of several died": (lost.WorkerCrashedError(), None, "crash", "the worker process died"),
    "node of an actor died": (
        actor_died("The actor died because its node has died.", None),
        None,
        "preempted",
        "the node died",
    ),
    "node of an actor taken away": (
        actor_died("The actor died.", WIRE.NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED),
        None,
        "preempted",
        "the node died",
    ),
    "node of an actor silent": (
        lost.ActorUnavailableError("RpcError", b"\0" * 16),
        None,
        "preempted",
        "cannot be reached",
    ),
    "anything else": (
        lost.RaySystemError("no more file handles"),
        None,
        "crash",
        "RaySystemError: System error: no more file handles",
    ),
    "exception": (
        lost.RayTaskError("work", "Traceback\nImportError: unilaw is not installed", None),
        None,
        "bug",
        "ImportError: unilaw is not",
    ),
}


@pytest.mark.parametrize(
    ("error", "overdue", "kind", "words"), ACCIDENTS.values(), ids=ACCIDENTS.keys()
)
def test_every_accident_is_a_failure_row_for_each_trial(
    monkeypatch, error: Exception, overdue: float | None, kind: str, words: str
):
    def get(ref: Any) -> Any:
        raise error

    monkeypatch.setattr(actors.ray, "get", get)
    results = actors._result(None, BATCH, 1.0, overdue, lambda: False)  # pyright: ignore[reportArgumentType]
    rows = [result.columns for result in results]
    assert len(rows) == 2
    for row in rows:
        assert (row["status"], row["failure_kind"]) == ("failed", kind)
        assert words in row["failure_message"] and "\n" not in row["failure_message"]
        assert set(row) <= set(arrow_schema().names)


@pytest.mark.parametrize(("overdue", "kind"), [(None, "crash"), (LIMIT_S, "timeout")])
@pytest.mark.parametrize(
    "accident", ["node of an actor silent", "node of an actor died", "worker died"]
)
def test_on_one_machine_no_worker_dies_with_its_node(
    monkeypatch, accident: str, overdue: float | None, kind: str
):
    def get(ref: Any) -> Any:
        raise ACCIDENTS[accident][0]

    monkeypatch.setattr(actors.ray, "get", get)
    rows = actors._result(None, BATCH, 1.0, overdue, None)  # pyright: ignore[reportArgumentType]
    assert {row.failure_kind for row in rows} == {kind}


def test_the_loss_of_this_machines_ray_ends_the_run_with_a_sentence(monkeypatch):
    def get(ref: Any) -> Any:
        raise lost.LocalRayletDiedError()

    monkeypatch.setattr(actors.ray, "get", get)
    with pytest.raises(UserError, match="run the same command again"):
        actors._result(None, BATCH, 1.0, None, lambda: False)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "error", [lost.WorkerCrashedError(), lost.ActorDiedError()], ids=["task", "actor"]
)
def test_a_process_that_dies_while_a_node_has_notice_to_leave_is_preempted(
    monkeypatch, error: Exception
):
    def get(ref: Any) -> Any:
        raise error

    monkeypatch.setattr(actors.ray, "get", get)
    rows = actors._result(None, BATCH, 1.0, None, lambda: True)  # pyright: ignore[reportArgumentType]
    assert {row.failure_kind for row in rows} == {"preempted"}


ROOM = [
    (Resources(cpus=1), {"CPU": 2.0}, 2),
    (Resources(cpus=2), {"CPU": 7.0}, 3),
    (Resources(cpus=1, gpus=1), {"CPU": 8.0, "GPU": 3.0}, 3),
    (Resources(cpus=1, gpus=0.25), {"CPU": 8.0, "GPU": 1.0}, 4),
    (Resources(cpus=1, gpus=0.333), {"CPU": 8.0, "GPU": 2.0}, 6),
    (Resources(cpus=4, gpus=0.25), {"CPU": 8.0, "GPU": 2.0}, 2),
    (Resources(cpus=2, gpus=4), {"CPU": 16.0, "GPU": 8.0}, 2),
    (Resources(cpus=2, gpus=4), {"CPU": 7.0, "GPU": 8.0}, 0),
    (Resources(cpus=1, gpus="auto", gpu_memory_gb=8), {"CPU": 4.0, "GPU": 0.1}, 1),
    (Resources(cpus=1, gpus="auto", gpu_memory_gb=8), {"CPU": 4.0}, 0),
    (Resources(cpus=1, memory_gb=3), {"CPU": 8.0, "memory": 10e9}, 3),
    (Resources(cpus=4), {"CPU": 2.0}, 0),
    (Resources(cpus=1, gpus=1), {"CPU": 8.0}, 0),
    (Resources(cpus=1, memory_gb=64), {"CPU": 8.0, "memory": 10e9}, 0),
    (Resources(cpus=1), {}, 0),
]


def nodes(*have: dict[str, float]) -> list[dict[str, Any]]:
    """What Ray says of a cluster whose live nodes have that; there was one more."""
    gone = {
        "Alive": False,
        "NodeID": "gone",
        "Resources": {"CPU": 64.0, "GPU": 8.0, "memory": 1e12},
    }
    return [
        gone,
        *({"Alive": True, "NodeID": str(k), "Resources": has} for k, has in enumerate(have)),
    ]


@pytest.mark.parametrize(("asked", "have", "expected"), ROOM, ids=str)
def test_room_for_trials(monkeypatch, asked: Resources, have: dict[str, float], expected: int):
    monkeypatch.setattr(actors.ray, "nodes", lambda: nodes(have))
    monkeypatch.setattr(actors.ray, "is_initialized", lambda: True)
    gpus = SMALLEST if asked.gpus == "auto" else asked.gpus
    assert actors._need(asked, gpus, None).times(actors._sum(actors._nodes())) == expected
    if expected:
        actors.connect(None, asked)
    else:
        with pytest.raises(
            UserError,
            match="one trial needs .* and the cluster has .*; change resources in the sweep file",
        ):
            actors.connect(None, asked)


APART = [
    (
        Resources(cpus=2, memory_gb=3),
        [{"CPU": 2.0, "memory": 2e9}, {"CPU": 1.0, "memory": 8e9}],
        False,
    ),
    (
        Resources(cpus=2, memory_gb=3),
        [{"CPU": 2.0, "memory": 2e9}, {"CPU": 2.0, "memory": 3e9}],
        True,
    ),
    (Resources(cpus=16), [{"CPU": 8.0}] * 4, False),
    (Resources(cpus=1, gpus=1), [{"CPU": 8.0}, {"GPU": 8.0}], False),
    (Resources(cpus=1, gpus=4), [{"CPU": 2.0, "GPU": 2.0}] * 2, True),  # several processes
]


@pytest.mark.parametrize(("asked", "have", "fits"), APART, ids=str)
def test_what_only_all_nodes_together_have_is_no_room(
    monkeypatch, asked: Resources, have: list[dict[str, float]], fits: bool
):
    monkeypatch.setattr(actors.ray, "nodes", lambda: nodes(*have))
    monkeypatch.setattr(actors.ray, "is_initialized", lambda: True)
    if fits:
        actors.connect(None, asked)
    else:
        with pytest.raises(
            UserError, match="one trial needs .*, and no node has that, only all together: "
        ):
            actors.connect(None, asked)


def test_nodes_that_leave_are_no_room(monkeypatch):
    monkeypatch.setattr(
        actors.ray,
        "nodes",
        lambda: nodes({"CPU": 4.0, "memory": 9e9}, {"CPU": 8.0, "GPU": 2.0, "memory": 4e9}),
    )
    assert actors._sum(actors._nodes()).cpus == 12 and actors._sum(actors._nodes({"1"})).cpus == 4
    assert actors.max_gpus_and_memory(4) == (2, 9.0) and actors.max_gpus_and_memory(5) == (2, 4.0)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "nonsense", "host:port", ":", "127.0.0.1:99999999"]
)
def test_an_address_without_a_cluster_is_refused(address: str):
    with pytest.raises(UserError, match=f"--address {address}: no Ray cluster answers there"):
        actors.connect(address, Resources())
    assert not actors.ray.is_initialized()
