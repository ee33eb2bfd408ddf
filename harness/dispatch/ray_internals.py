"""Everything that unilaw uses of Ray although Ray does not promise to keep it: private modules and
methods, the texts of its messages, and environment variables that its documentation does not list.

Each entry says why it is needed and what breaks without it. On an update of Ray, read
tests/dispatch/test_ray_internals.py first: it checks each entry against the installed Ray, and asks
for the new version's name in `CHECKED_WITH`.

Importing this file sets `ENVIRONMENT` and must not import Ray, which reads some of the variables
while it is imported. The package's `__init__` imports this file, so it runs before any file of
this room. Ray is imported inside the functions.
"""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Collection, Iterator
from typing import Any

from harness.interruption import Interrupted

CHECKED_WITH = ("2.60.0",)
"""The versions of Ray that the entries of this file were checked with."""


# Environment variables

ENVIRONMENT = {
    # Ray sends no usage report over the network. Without the variable, every run makes such a
    # request.
    "RAY_USAGE_STATS_ENABLED": "0",
    # A worker that takes no GPU keeps the node's CUDA_VISIBLE_DEVICES. That is the default of Ray
    # 2.60; without the variable, older versions hide the GPUs and print a warning for each worker.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray waits 10 s instead of 1 s for the cause of a worker's death. On a busy machine 1 s is too
    # short: the cause is lost, and an attempt that ran out of memory is recorded as a crash.
    "RAY_timeout_ms_task_wait_for_death_info": "10000",
    # A driver under `uv run` starts its workers as any other driver does. Without the variable, Ray
    # copies the current folder to them and puts the copy first on their import path.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
"""Variables that must be set before Ray is imported. A value that the user has set is kept."""

for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

TRAIN_ENVIRONMENT = {
    # The second version of Ray Train, whose exceptions `multi_gpu.py` reads. It is the default of
    # Ray 2.60; without the variable, older versions of Ray raise other exceptions.
    "RAY_TRAIN_V2_ENABLED": "1",
    # Once one process has failed, the others are ended within half a second. Without the variable,
    # they hold their GPUs for longer.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # A trial waits for room as long as any task does. Without the variable, a trial on a full
    # cluster fails after a timeout.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "1e9",
    # No Prometheus metrics: nobody collects them.
    "RAY_TRAIN_METRICS_ENABLED": "0",
    # The processes stay in their folder. Without the variable, relative paths in configurations
    # lead elsewhere.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # A process that can no longer reach the others ends after 2 s instead of 30 s.
    "TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "2",
}
"""Settings of Ray Train for a trial over several GPUs, whose processes inherit them."""

JOB_ADDRESS_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Variables that Ray's job client prefers to the address it is called with."""


def forget_other_job_addresses() -> None:
    """Remove JOB_ADDRESS_VARIABLES from this process's environment. Without this, `launch` may
    submit to another cluster than the one that the user typed."""
    for name in JOB_ADDRESS_VARIABLES:
        os.environ.pop(name, None)


VERSION_PATH = "/api/version"
"""The path at which every job server answers, whoever asks. Without this, `launch` waits without
end for an address where nothing answers, as Ray's client does."""


# Private modules and methods


@contextlib.contextmanager
def only_on_loopback() -> Iterator[None]:
    """Have whatever Ray starts inside the block listen on this machine's loopback alone.

    ENABLE_RAY_CLUSTER is False by default on macOS and Windows, where Ray then chooses 127.0.0.1.
    On Linux, Ray listens on every interface, the job server of each node included, and refuses a
    loopback address as an argument. Without this, anybody on the network reaches a run's Ray.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def job_without_drivers_folders() -> Any:
    """Return the configuration of a job whose workers import nothing from the driver's folders.

    Ray sends the driver's current folder and its script's folder with each job, and a worker puts
    them first on its import path before its first task. There is no public way to send neither.
    Without this, a `pydantic.py` in a store from somebody else runs at `unilaw measure .` there.
    """
    from ray.job_config import JobConfig

    class JobWithoutDriversFolders(JobConfig):
        @property
        def _py_driver_sys_path(self) -> list[str]:
            return []  # a new list each time, so that whatever Ray appends is lost

        @_py_driver_sys_path.setter
        def _py_driver_sys_path(self, folders: list[str]) -> None:
            pass

    return JobWithoutDriversFolders()


@contextlib.contextmanager
def own_sigterm_handler() -> Iterator[None]:
    """Have SIGTERM do after the block what it did before.

    Ray replaces the handler when it starts or joins a cluster, by one that raises SystemExit.
    Without this, SIGTERM ends a run by SIGABRT and a stack trace of Ray's.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:  # the signal came while Ray started, and met Ray's handler
        raise Interrupted(signal.SIGTERM) from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def end_processes_here() -> None:
    """End the processes of a Ray that this process has started, without a question to any of them.
    Takes up to a second for each that does not end by itself.

    ray.shutdown() asks Ray first, and waits for ever when its head was stopped. Ray's agents are
    processes of the raylet's, and tell the head of the raylet's death before they end. Without
    this, they outlive the process for a quarter of a minute, and longer when the head was stopped.
    """
    import psutil  # Ray brings its own, and puts it on the import path
    from ray._private import worker

    if worker._global_node is None:
        return
    below = _processes_below(worker._global_node)
    worker._global_node.kill_all_processes(check_alive=False, allow_graceful=True)
    for process in below:
        with contextlib.suppress(psutil.Error):  # it has ended
            process.kill()


def _processes_below(node: Any) -> list[Any]:
    """Return the processes that the processes of a node have started: agents and workers."""
    import psutil

    below = []
    for processes in node.all_processes.values():
        for started in processes:
            with contextlib.suppress(psutil.Error):
                below += psutil.Process(started.process.pid).children(recursive=True)
    return below


def leaving_nodes() -> Collection[str]:
    """Return the ids of the nodes that are about to be taken away, as by a cloud's spot notice.

    Ray's public list of nodes does not tell. Without this, batches go to nodes that are about to
    leave, and the worker processes that die there count as crashes of their trials.
    """
    from ray._private.state import state

    return state.get_draining_nodes()


ACTOR_ALIVE = 2
"""ray.core.generated.gcs_pb2.ActorTableData.ALIVE, which type checkers cannot see."""


def is_alive(actor: Any) -> bool:
    """Return whether an actor is alive, as far as this process has been told.

    Ray knows it only of an actor that has been called at least once. There is no public way to ask.
    Without this, an actor that died while idle takes the next batch with it.
    """
    return actor._get_local_state() == ACTOR_ALIVE


def placement_groups_here(table: dict[str, Any], job_id: str) -> list[str]:
    """Return the ids of the placement groups in Ray's table that this driver's job still holds.

    An id ends with the id of its job, in hexadecimal; the table names the job nowhere else. Without
    this, the next trial over several GPUs waits for ever for the GPUs of one that was cancelled.
    """
    return [
        group_id
        for group_id, group in table.items()
        if group_id.endswith(job_id) and group["state"] != "REMOVED"
    ]


def end_of_process(failure: Exception) -> Exception:
    """Return why a process of Ray Train ended: the error behind a WorkerHealthCheckFailedError,
    which is private, or the failure itself.

    Without this, every process that ran out of memory or lost its node is a crash.
    """
    return getattr(failure, "health_check_failure", failure)


# Texts of messages

NODE_DIED_TEXT = "its node has died"
"""What the head writes as the cause of death of an actor whose node is gone. The exception has no
field for it. Without this, the loss of a node counts as an attempt of its trials."""

NO_SUCH_JOB_TEXT = "status code 404"
"""What the job client says when the server answers that it has no such job. The RuntimeError has no
field for the code. Without this, `launch` asks a new head about a lost job for two minutes."""

SOCKET_PATH_TEXT = "AF_UNIX path length"
"""What Ray says when the path of its temporary folder is too long for the sockets in it. The
OSError has no number. Without this, a user is told to wait for a less busy machine."""

JOB_EXISTS_TEXT = "{submission_id} already exists"
"""What a job server answers when a job's id is taken. Without this, of two users that launch the
same sweep at the same moment, one gets an error instead of the other's job."""

JOB_LOGGERS = ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")
"""Loggers that set a level of their own, below that of the logger "ray", and report every upload.
Without them, `launch` prints the client's progress among its own messages."""


def actor_lost_its_node(error: BaseException) -> bool:
    """Return whether an actor, or a process of Ray Train, ended because its node did."""
    return getattr(error, "preempted", False) or NODE_DIED_TEXT in str(error)


def socket_path_is_too_long(error: Exception) -> bool:
    """Return whether Ray did not start because of the length of a socket's path."""
    return SOCKET_PATH_TEXT in str(error)


def job_is_unknown(error: Exception) -> bool:
    """Return whether a job server answered that it has no such job."""
    return NO_SUCH_JOB_TEXT in str(error)


def job_exists_already(error: Exception, submission_id: str) -> bool:
    """Return whether a job server refused a job because one with its id is there already."""
    return JOB_EXISTS_TEXT.format(submission_id=submission_id) in str(error)


def silence_job_client() -> None:
    """Have Ray's job client log errors only."""
    for name in ("ray", *JOB_LOGGERS):
        logging.getLogger(name).setLevel(logging.ERROR)
