"""Addresses and stores that `launch` refuses before it submits anything. No cluster is started.

Run alone: python -m pytest tests/dispatch/test_job_server.py
"""

import contextlib
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from harness.dispatch import job_server
from harness.dispatch.jobs import store_for
from harness.errors import UserError
from harness.sweeps.sweep import Sweep, parse_sweep
from tests.nodes import free_port


@pytest.mark.parametrize(
    "address",
    [
        "auto",
        "127.0.0.1:8265",
        "ray://127.0.0.1:10001",
        "http://127.0.0.1",
        "http://a:b",
        "http://a:1/x",
        "http://me:pw@a:1",
        "",
    ],
)
def test_another_form_of_address_is_refused(address: str):
    with pytest.raises(UserError, match="must be http://HOST:PORT"):
        job_server.connect(address)


def test_nobody_there_is_one_sentence():
    with pytest.raises(UserError, match="no Ray job server answers there"):
        job_server.connect(f"http://127.0.0.1:{free_port()}")


ANSWERS = {
    "says nothing": (b"", "no Ray job server answers there"),
    "does not speak HTTP": (b"hello\n", "no Ray job server answers there"),
    "is another web server": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        "what answers there is no job server",
    ),
    "knows another token": (
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
        "the cluster did not get the token that it asks for; set RAY_AUTH_MODE=token",
    ),
}


def test_what_is_wrong_here_is_said_before_anything_is_asked_of_the_cluster(
    tmp_path: Path, unilaw_here, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "small.yaml").write_text("name: a\nseeds: [0]\ntasks:\n  - task: sphere\n")
    launch = ("launch", "small.yaml", "--address", "http://127.0.0.1:1", "--check", "--store")
    done = unilaw_here(*launch, "rows", cwd=tmp_path)
    assert done.returncode == 2 and "--store: the store 'rows' is relative" in done.stderr

    monkeypatch.setattr(job_server, "connect", lambda address: None)
    done = unilaw_here(*launch, "/rows", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith(
        "nothing was submitted: the sweep 'a' is in order (trials: 1), http://127.0.0.1:1 answers"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "words"), ANSWERS.values(), ids=ANSWERS.keys())
def test_something_else_there_is_one_sentence(
    answer: bytes, words: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(job_server, "KNOCK_S", 1.0)
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")  # is not what was typed
    server = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{server.getsockname()[1]}"

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                if answer:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.close()

    threading.Thread(target=serve, daemon=True).start()
    began = time.monotonic()
    with server, pytest.raises(UserError, match=url) as refusal:
        job_server.connect(url)

    assert words in str(refusal.value) and len(str(refusal.value).splitlines()) == 1
    assert time.monotonic() - began < 10
    assert "RAY_ADDRESS" not in os.environ


@pytest.fixture
def sweep() -> Sweep:
    return parse_sweep("name: a\nseeds: [0]\ntasks:\n  - task: sphere\n", "a.yaml")


@pytest.mark.parametrize("store", ["/rows", "s3://bucket/rows", "gs://bucket/rows/"])
def test_stores_that_a_cluster_can_write(sweep: Sweep, store: str):
    assert store_for(sweep, store) == store.rstrip("/")


@pytest.mark.parametrize("store", ["rows", "./rows", "~/rows", ""])
def test_stores_that_would_go_with_the_job(sweep: Sweep, store: str):
    with pytest.raises(UserError, match="is relative"):
        store_for(sweep, store)


def test_a_store_that_repeats_a_secret_is_refused_here(sweep: Sweep):
    with pytest.raises(UserError, match="carries credentials") as refusal:
        store_for(sweep, "s3://me:hunter2@bucket/rows")
    assert "hunter2" not in str(refusal.value)
