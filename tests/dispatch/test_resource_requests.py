"""How many trials a cluster has room for, and what is refused before a run. No cluster is
started.

Run alone: python -m pytest tests/dispatch/test_resource_requests.py
"""

from typing import Any

import pytest
import ray

from harness.dispatch.cluster import (
    connect,
    max_gpus_and_memory,
    node_resources,
    request_of,
    total,
)
from harness.errors import UserError
from harness.sweeps.gpu_shares import SMALLEST
from harness.sweeps.sweep import Resources

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
    """Return Ray's list of a cluster's nodes: a dead one, and live ones with these resources."""
    dead = {
        "Alive": False,
        "NodeID": "gone",
        "Resources": {"CPU": 64.0, "GPU": 8.0, "memory": 1e12},
    }
    live = [{"Alive": True, "NodeID": str(k), "Resources": has} for k, has in enumerate(have)]
    return [dead, *live]


@pytest.mark.parametrize(("asked", "have", "expected"), ROOM, ids=str)
def test_room_for_trials(monkeypatch, asked: Resources, have: dict[str, float], expected: int):
    monkeypatch.setattr(ray, "nodes", lambda: nodes(have))
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    gpus = SMALLEST if asked.gpus == "auto" else asked.gpus
    assert request_of(asked, gpus, None).times(total(node_resources())) == expected
    if expected:
        connect(None, asked)
    else:
        with pytest.raises(
            UserError,
            match="one trial needs .* and the cluster has .*; change resources in the sweep file",
        ):
            connect(None, asked)


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
    monkeypatch.setattr(ray, "nodes", lambda: nodes(*have))
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    if fits:
        connect(None, asked)
    else:
        with pytest.raises(
            UserError,
            match="one trial needs .*, and no single node has that; all nodes together have ",
        ):
            connect(None, asked)


def test_nodes_that_leave_are_no_room(monkeypatch):
    monkeypatch.setattr(
        ray,
        "nodes",
        lambda: nodes({"CPU": 4.0, "memory": 9e9}, {"CPU": 8.0, "GPU": 2.0, "memory": 4e9}),
    )
    assert total(node_resources()).cpus == 12
    assert total(node_resources({"1"})).cpus == 4


def test_a_trial_may_grow_to_the_memory_of_the_largest_node_with_its_cpus(monkeypatch):
    monkeypatch.setattr(
        ray,
        "nodes",
        lambda: nodes({"CPU": 4.0, "memory": 9e9}, {"CPU": 8.0, "GPU": 2.0, "memory": 4e9}),
    )
    assert max_gpus_and_memory(4) == (2, 9.0)
    assert max_gpus_and_memory(5) == (2, 4.0)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "nonsense", "host:port", ":", "127.0.0.1:99999999"]
)
def test_an_address_without_a_cluster_is_refused(address: str):
    with pytest.raises(UserError, match=f"--address {address}: no Ray cluster answers there"):
        connect(address, Resources())
    assert not ray.is_initialized()
