"""Each thing that `harness/dispatch/ray_internals.py` uses of Ray is still there in the installed
Ray, and behaves. No Ray is started.

Run alone: python -m pytest tests/dispatch/test_ray_internals.py
"""

import ast
import importlib
import inspect
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray import exceptions as lost
from ray.actor import ActorHandle
from ray.util.placement_group import placement_group_table

from harness.dispatch import ray_internals
from harness.interruption import Interrupted
from tests import ROOT

RAY = Path(ray.__file__).parent

# made by protobuf, unseen by type checkers
COMMON: Any = importlib.import_module("ray.core.generated.common_pb2")
GCS: Any = importlib.import_module("ray.core.generated.gcs_pb2")


def source(*path: str) -> str:
    """Return the text of one of Ray's own files."""
    return RAY.joinpath(*path).read_text()


def test_the_installed_ray_is_one_that_was_checked():
    assert ray.__version__ in ray_internals.CHECKED_WITH, (
        f"Ray {ray.__version__} is installed, and harness/dispatch/ray_internals.py was checked"
        f" with {', '.join(ray_internals.CHECKED_WITH)}: run all tests of tests/dispatch and"
        " `python -m tests.chaos`, read each entry of the file against the new Ray, and then add"
        " the version to CHECKED_WITH"
    )


PRIVATE = ("ray._private", "ray._raylet", "_get_local_state", "get_draining_nodes")


def test_no_other_file_uses_what_is_private():
    allowed = ROOT / "harness" / "dispatch" / "ray_internals.py"
    for path in sorted((ROOT / "harness").rglob("*.py")):
        used = [name for name in PRIVATE if name in path.read_text()]
        assert not used or path == allowed, f"{path.relative_to(ROOT)} uses {used}"


def test_no_other_file_names_an_environment_variable_of_ray():
    """Outside messages to the user, that is: RAY_AUTH_MODE is documented."""
    documented = {"RAY_AUTH_MODE"}
    for path in sorted((ROOT / "harness" / "dispatch").glob("*.py")):
        constants = {
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        names = {text for text in constants if re.fullmatch(r"RAY_\w+", text)}
        assert path.name == "ray_internals.py" or names <= documented, path.name


# Environment variables

IMPORTS_THE_ROOM = """
import os, sys
import harness.dispatch
assert "ray" not in sys.modules
print(*(os.environ[name] for name in harness.dispatch.ray_internals.ENVIRONMENT))
"""


def test_the_environment_is_set_before_ray_is_imported_and_a_users_value_is_kept():
    names = list(ray_internals.ENVIRONMENT)
    environment = {k: v for k, v in os.environ.items() if k not in names} | {names[0]: "1"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS_THE_ROOM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", *list(ray_internals.ENVIRONMENT.values())[1:]]


def test_ray_reads_the_variables_of_the_environment():
    usage = source("_common", "usage", "usage_constants.py")
    assert '"RAY_USAGE_STATS_ENABLED"' in usage
    accelerator = source("_private", "accelerators", "accelerator.py")
    assert '"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"' in accelerator
    setting = "RAY_timeout_ms_task_wait_for_death_info"
    assert setting in ray_internals.ENVIRONMENT
    # settings of Ray's C++ are read from RAY_<name>
    assert setting.removeprefix("RAY_").encode() in (RAY / "_raylet.so").read_bytes()


def test_ray_train_reads_the_variables_of_the_train_environment():
    constants = source("train", "constants.py") + source("train", "v2", "_internal", "constants.py")
    for name in ray_internals.TRAIN_ENVIRONMENT:
        assert f'"{name}"' in constants, name


def test_the_job_client_prefers_the_variables_that_are_removed(monkeypatch: pytest.MonkeyPatch):
    from ray.dashboard.utils import get_address_for_submission_client

    for name in reversed(ray_internals.JOB_ADDRESS_VARIABLES):
        monkeypatch.setenv(name, f"http://{name.lower()}:1")
        used = get_address_for_submission_client("http://typed:1")
        assert used == f"http://{name.lower()}:1", "Ray has no such preference any more"

    ray_internals.forget_other_job_addresses()
    assert get_address_for_submission_client("http://typed:1") == "http://typed:1"


def test_job_servers_have_the_path_that_is_knocked_at():
    assert f'"{ray_internals.VERSION_PATH}"' in source("dashboard", "modules", "dashboard_sdk.py")


# Private modules and methods


def test_what_ray_starts_listens_on_loopback_inside_the_block_alone():
    from ray._private import ray_constants, services

    before = ray_constants.ENABLE_RAY_CLUSTER
    with ray_internals.only_on_loopback():
        assert services.get_node_ip_address() == "127.0.0.1"
        assert ray_constants.ENABLE_RAY_CLUSTER is False
    assert ray_constants.ENABLE_RAY_CLUSTER is before

    with pytest.raises(KeyError), ray_internals.only_on_loopback():
        raise KeyError
    assert ray_constants.ENABLE_RAY_CLUSTER is before


def test_sigterm_does_after_rays_start_what_it_did_before():
    before = signal.getsignal(signal.SIGTERM)
    with ray_internals.own_sigterm_handler():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is before

    with pytest.raises(Interrupted) as caught, ray_internals.own_sigterm_handler():
        raise SystemExit(1)  # as Ray's own handlers do
    assert caught.value.signum == signal.SIGTERM
    assert "set_sigterm_handler" in source("_private", "worker.py") + source("_private", "node.py")


def test_the_processes_of_a_ray_that_was_started_here_can_be_ended():
    from ray._private import node, worker

    assert worker._global_node is None
    ray_internals.end_processes_here()
    parameters = inspect.signature(node.Node.kill_all_processes).parameters
    assert {"check_alive", "allow_graceful"} <= parameters.keys()
    assert (RAY / "thirdparty_files" / "psutil").is_dir()


def test_what_such_a_process_has_started_ends_with_it(monkeypatch: pytest.MonkeyPatch):
    from ray._private import worker

    class Node:
        """A node of one process, which ignores the death of its own child, as an agent may."""

        def __init__(self):
            raylet = subprocess.Popen(
                ["bash", "-c", "sleep 100 & echo $!; wait"], stdout=subprocess.PIPE, text=True
            )
            assert raylet.stdout is not None
            self.raylet = raylet
            self.agent = int(raylet.stdout.readline())
            raylet.stdout.close()
            self.all_processes = {"raylet": [SimpleNamespace(process=raylet)]}

        def kill_all_processes(self, check_alive: bool, allow_graceful: bool) -> None:
            self.raylet.kill()
            self.raylet.wait()

    node = Node()
    monkeypatch.setattr(worker, "_global_node", node)
    ray_internals.end_processes_here()
    deadline = time.monotonic() + 10
    while _runs(node.agent):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    """Whether the process runs; one that is dead and not reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_leaving_nodes_are_what_ray_says_is_draining(monkeypatch: pytest.MonkeyPatch):
    from ray._private.state import GlobalState, state

    assert isinstance(state, GlobalState)
    assert not inspect.signature(state.get_draining_nodes).parameters
    monkeypatch.setattr(GlobalState, "get_draining_nodes", lambda self: {"ab" * 28: 0})
    assert set(ray_internals.leaving_nodes()) == {"ab" * 28}


def test_the_state_of_a_live_actor_has_the_number_that_is_compared():
    assert ray_internals.ACTOR_ALIVE == GCS.ActorTableData.ALIVE
    assert callable(ActorHandle._get_local_state)


@pytest.mark.parametrize(
    "state", ["DEPENDENCIES_UNREADY", "PENDING_CREATION", "RESTARTING", "DEAD"]
)
def test_an_actor_in_another_state_is_not_alive(state: str):
    class Handle:
        def _get_local_state(self) -> int:
            return getattr(GCS.ActorTableData, state)

    assert not ray_internals.is_alive(Handle())


def test_a_placement_groups_id_ends_with_its_jobs():
    here, other = (ray.JobID.from_int(number) for number in (3, 4))
    groups = {
        "held": ray.PlacementGroupID.of(here).hex(),
        "removed": ray.PlacementGroupID.of(here).hex(),
        "another job's": ray.PlacementGroupID.of(other).hex(),
    }
    table = {group_id: {"state": "CREATED"} for group_id in groups.values()}
    table[groups["removed"]]["state"] = "REMOVED"
    assert ray_internals.placement_groups_here(table, here.hex()) == [groups["held"]]


def test_the_table_of_placement_groups_has_a_state_that_is_removed():
    assert "REMOVED" in GCS.PlacementGroupTableData.PlacementGroupState.keys()
    assert '"state"' in inspect.getsource(placement_group_table) + source("_private", "state.py")


@pytest.mark.slow
def test_ray_train_keeps_the_cause_of_a_processs_end_where_it_is_looked_for():
    from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
    from ray.train.v2.api.exceptions import (
        PreemptionError,
        TrainingFailedError,
        WorkerGroupError,
    )

    cause = lost.OutOfMemoryError("the node ran low")
    ended = WorkerHealthCheckFailedError("process 1", cause)
    assert ray_internals.end_of_process(ended) is cause
    assert ray_internals.end_of_process(cause) is cause

    group = WorkerGroupError("both", {1: ended})
    assert group.worker_failures == {1: ended}
    assert issubclass(WorkerGroupError, TrainingFailedError)
    assert issubclass(PreemptionError, TrainingFailedError)


# Texts of messages


def actor_died(message: str, reason: int | None) -> lost.ActorDiedError:
    info = None if reason is None else COMMON.NodeDeathInfo(reason=reason)
    context = COMMON.ActorDiedErrorContext(
        actor_id=b"\0" * 16, error_message=message, node_death_info=info
    )
    return lost.ActorDiedError(context)


def test_the_head_still_writes_that_an_actors_node_has_died():
    head = RAY / "core" / "src" / "ray" / "gcs" / "gcs_server"
    assert ray_internals.NODE_DIED_TEXT.encode() in head.read_bytes()
    assert ray_internals.actor_lost_its_node(
        actor_died("The actor died because its node has died.", None)
    )


def test_an_actor_of_a_preempted_node_lost_its_node():
    preempted = COMMON.NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED
    assert ray_internals.actor_lost_its_node(actor_died("The actor died.", preempted))
    assert not ray_internals.actor_lost_its_node(actor_died("The actor died.", None))
    assert not ray_internals.actor_lost_its_node(ValueError("no"))


def test_the_job_client_and_server_still_write_what_is_matched():
    client = source("dashboard", "modules", "dashboard_sdk.py")
    assert 'f"Request failed with status code {r.status_code}' in client
    assert ray_internals.NO_SUCH_JOB_TEXT == "status code 404"
    server = source("dashboard", "modules", "job", "job_manager.py")
    assert ray_internals.JOB_EXISTS_TEXT in server


def test_errors_of_the_job_server_are_told_apart():
    missing = RuntimeError("Request failed with status code 404: no such job.")
    taken = RuntimeError("Job with submission_id unilaw-a-2 already exists. Please use another.")
    assert ray_internals.job_is_unknown(missing) and not ray_internals.job_is_unknown(taken)
    assert ray_internals.job_exists_already(taken, "unilaw-a-2")
    assert not ray_internals.job_exists_already(missing, "unilaw-a-2")


def test_the_job_clients_loggers_have_the_names_that_are_silenced():
    for name in ray_internals.JOB_LOGGERS:
        module = importlib.import_module(name)
        assert module.logger.name == name
        module.logger.setLevel(logging.INFO)
    ray_internals.silence_job_client()
    for name in ray_internals.JOB_LOGGERS:
        assert not logging.getLogger(name).isEnabledFor(logging.WARNING)


def test_a_path_too_long_for_a_socket_is_recognised():
    with pytest.raises(OSError) as refused:
        importlib.import_module("ray._private.utils").validate_socket_filepath("/" + "x" * 107)
    assert ray_internals.socket_path_is_too_long(refused.value)
    assert not ray_internals.socket_path_is_too_long(OSError("something else"))
