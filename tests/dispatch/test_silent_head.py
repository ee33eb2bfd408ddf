"""A head that stops answering ends a run after a stated silence; one that is only slow does not.

Run alone: python -m pytest tests/dispatch/test_silent_head.py
"""

import threading
from collections.abc import Iterator

import pytest

from harness.dispatch import cluster
from harness.dispatch.cluster import NOTHING, Head, HeadIsDead, ResourceRequest

ONE_CPU = ResourceRequest(1, 0, 0)


class Ray:
    """Stands in for Ray's list of nodes. A thread that asks while it is stopped waits."""

    def __init__(self):
        self.runs = threading.Event()
        self.runs.set()
        self.fails = False
        self.nodes = [ONE_CPU]
        self.asked = 0

    def node_resources(self, leaving: object = ()) -> list[ResourceRequest]:
        self.asked += 1
        self.runs.wait(10)
        if self.fails:
            raise RuntimeError("no answer")
        return self.nodes


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ray]:
    ray = Ray()
    monkeypatch.setattr(cluster, "node_resources", ray.node_resources)
    monkeypatch.setattr(cluster, "HEAD_ANSWERS_S", 0.05)
    monkeypatch.setattr(cluster, "HEAD_GONE_S", 0.4)
    yield ray
    ray.runs.set()


def test_an_answer_is_what_the_nodes_have_now(ray: Ray):
    head = Head(None)
    ray.nodes = [ONE_CPU, NOTHING]
    assert head.answers()
    assert head.nodes == [ONE_CPU, NOTHING] and not head.leaving


@pytest.mark.slow
def test_a_head_that_is_stopped_is_dead_after_a_while(ray: Ray):
    head = Head(None)
    assert head.answers()
    ray.runs.clear()
    assert not head.answers(), "not at once"
    with pytest.raises(HeadIsDead, match="this machine's Ray has not answered for"):
        while True:
            assert not head.answers()
    assert ray.asked == 3, "one open question, however long it takes"


def test_a_head_that_goes_on_in_time_is_alive(ray: Ray):
    head = Head(None)
    ray.runs.clear()
    assert not head.answers()
    ray.runs.set()
    assert head.answers()


def test_a_driver_that_was_itself_stopped_hears_the_answer_first(
    ray: Ray, monkeypatch: pytest.MonkeyPatch
):
    head = Head(None)
    ray.runs.clear()
    assert not head.answers()
    now = cluster.time.monotonic()
    monkeypatch.setattr(cluster.time, "monotonic", lambda: now + 3600)
    ray.runs.set()
    assert head.answers()


def test_an_error_is_no_answer(ray: Ray):
    head = Head(None)
    ray.fails = True
    assert not head.answers()
    ray.fails = False
    assert head.answers()
