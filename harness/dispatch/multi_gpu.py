"""One language model's trial over several GPUs: Ray Train's TorchTrainer, one process for each GPU,
all in one placement group.

    columns = ray.get(submit(home, stacks, given, processes=4))

A coordinating task without resources starts the processes, waits for them, and gives what
`harness.dispatch.worker.Worker.work` would: the first one's columns, or a failure's. As there, what
runs on other nodes is sent by value and imports this package only after `pin_on_node`:
`_coordinate`, `_process` and all that they name may use nothing of it before.
"""

import faulthandler
import sys
import tempfile
import threading
import time
from typing import Any

import ray
from ray import cloudpickle
from ray import exceptions as lost
from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group

from harness.dispatch import worker
from harness.dispatch.worker import pin_on_node

LOST_PEER_S = 10.0
"""A process that misses another waits so long with saying so: what the other one says, or Ray
about it, is the reason."""

SETTINGS = {
    "RAY_TRAIN_V2_ENABLED": "1",
    # how soon the others of a process that failed are ended
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "1e9",  # a trial waits for room, as any task does
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # paths in configurations keep their meaning
    "TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "2",
}
"""Of Ray Train, as environment variables. The processes inherit them."""

LOST_WORDS = (
    "gloo",
    "NCCL",
    "DistBackendError",
    "DistNetworkError",
    "Connection closed by peer",
    "Connection reset by peer",
)
"""What torch.distributed says where another process no longer answers."""


def submit(
    home: str, stacks: list[list[dict[str, Any]]], given: tuple[Any, ...], processes: int
) -> ray.ObjectRef:
    """Start one trial of a `LanguageTask` over so many processes, each with `given.cpus` CPUs and,
    if `given.gpus` is above 0, a GPU of its own.

    `home` is that of `harness.dispatch.worker.Worker.node`, stacks and given are those of `work`,
    as is what the reference resolves to; `stacks` must hold one trial, and `given.trained` be None.
    Cancelling the reference by force ends the processes; `reclaim` then frees their room.
    """
    for module in (worker, sys.modules[__name__]):
        cloudpickle.register_pickle_by_value(module)
    options: dict[str, Any] = {
        "num_cpus": 0,
        "max_retries": 0,
        "name": "unilaw-sharded",
        "runtime_env": {"env_vars": SETTINGS},
    }
    return ray.remote(**options)(_coordinate).remote(home, stacks, given, processes)


def reclaim() -> None:
    """Give back what the trials of this driver still hold. To be called while none is under way,
    after one was cancelled or lost.

    Ray keeps a placement group whose maker was killed until the driver's job ends, and the next
    trial would wait for its room.
    """
    job = ray.get_runtime_context().get_job_id()
    for name, about in placement_group_table().items():
        if name.endswith(job) and about["state"] != "REMOVED":
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(name))))


def _coordinate(
    home: str, stacks: list[list[dict[str, Any]]], given: tuple[Any, ...], processes: int
) -> list[tuple[Any, ...]]:
    """Start the processes, and wait for them."""
    pin_on_node(home)
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    from harness.sweeps.trial import RunSettings

    limits = RunSettings(*given)
    each = {"CPU": limits.cpus} | ({"GPU": 1} if limits.gpus else {})
    # Two networks: tensors on GPUs go over NCCL, what processes tell one another over Gloo. A
    # collective that nobody answers ends after the trial's own limit, which is what the trial is
    # told of.
    network = TorchConfig(
        backend="cpu:gloo,cuda:nccl" if limits.gpus else "gloo", timeout_s=int(limits.seconds) + 60
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="unilaw-") as folder:
        trainer = TorchTrainer(
            _process,
            train_loop_config={"home": home, "stacks": stacks, "given": given},
            torch_config=network,
            scaling_config=ScalingConfig(
                num_workers=processes,
                use_gpu=limits.gpus > 0,
                resources_per_worker=each,
                placement_strategy="PACK",
            ),
            run_config=RunConfig(  # no retries here: the driver counts attempts
                name="trial",
                storage_path=folder,
                failure_config=FailureConfig(
                    0, controller_failure_limit=0, max_preemption_failures=0
                ),
            ),
        )
        try:
            columns = trainer.fit().return_value
        except (TrainingFailedError, lost.RayError) as e:
            columns = [(_failure(e, time.monotonic() - began, limits.seconds), None, None)]
    assert columns is not None
    return columns


def _process(sent: dict[str, Any]) -> list[tuple[Any, ...]]:
    """One of the processes: its part of the trial, in a thread that the time limit need not wait
    for.

    Raises RuntimeError with the columns of a failure, which the coordinator reads: Ray Train then
    ends the other processes.
    """
    pin_on_node(sent["home"])
    from datetime import UTC, datetime

    import torch
    import torch.distributed as dist

    from harness.execution.failures import failed, failure
    from harness.execution.language_trials import LanguageTrials
    from harness.execution.limits import (
        HARD_KILL_GRACE_S,
        flushed_denormals,
        peak_memory,
        reset_peak_memory,
    )
    from harness.execution.run_batch import finish
    from harness.execution.trial_result import TrialResult
    from harness.sweeps.registry import TaskRef
    from harness.sweeps.trial import RunSettings, Trial
    from harness.training.processes import Processes

    given, started, clock = RunSettings(*sent["given"]), datetime.now(UTC), time.perf_counter()
    device = (
        torch.device("cuda", torch.cuda.current_device()) if given.gpus else torch.device("cpu")
    )
    found: list[TrialResult] = []

    def run() -> None:
        try:
            ((of_trial,),) = sent["stacks"]
            trial = Trial(
                of_trial["trial_id"],
                TaskRef(*of_trial["ref"]),
                of_trial["config"],
                of_trial["seed"],
            )
            torch.set_num_threads(given.cpus)  # this and the next two are settings of the thread
            if device.type == "cuda":
                torch.cuda.set_device(device)
            with flushed_denormals():
                found.extend(
                    LanguageTrials(
                        given, device, Processes(dist.get_rank(), dist.get_world_size())
                    ).run((trial,))
                )
        except BaseException as e:
            found.append(failure(e))

    torch.backends.cudnn.allow_tf32 = False  # measures need float32 in full
    reset_peak_memory(device.type)
    faulthandler.dump_traceback_later(
        given.seconds + HARD_KILL_GRACE_S, exit=True, file=sys.__stderr__ or 2
    )
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(given.seconds)
    faulthandler.cancel_dump_traceback_later()
    result = (
        found[0]
        if found
        else failed("timeout", f"took longer than the limit of {given.seconds:g} s")
    )
    result = finish(
        result,
        started,
        time.perf_counter() - clock,
        peak_memory(device.type),
        device.type,
        given.gpus,
    )
    if result.failure_kind is None:
        return [tuple(result)]
    if _lost_another(result.columns):
        time.sleep(LOST_PEER_S)
    raise RuntimeError(result.columns)


def _failure(e: Exception, waited: float, seconds: float) -> dict[str, Any]:
    """The columns of a trial whose processes did not come to their end: what says most about
    why."""
    from ray.train.v2.api.exceptions import PreemptionError, WorkerGroupError

    from harness.execution.failures import failed
    from harness.execution.limits import HARD_KILL_GRACE_S
    from harness.store.schema import MEASURES_VERSION

    of_each = list(e.worker_failures.values()) if isinstance(e, WorkerGroupError) else [e]
    told = [
        dict(said.args[0])
        for said in of_each
        if isinstance(said, RuntimeError) and said.args and isinstance(said.args[0], dict)
    ]
    ends = [
        getattr(said, "health_check_failure", said)
        for said in of_each
        if not isinstance(said, RuntimeError)
    ]
    timed_out = [columns for columns in told if columns["failure_kind"] == "timeout"]
    if timed_out or (told and not ends):
        return (timed_out or [columns for columns in told if not _lost_another(columns)] or told)[0]
    message = f"a process of the trial ended: {' '.join(str((ends or of_each)[0]).split())}"
    if isinstance(e, PreemptionError) or any(
        getattr(end, "preempted", False) or "its node has died" in str(end) for end in ends
    ):
        kind = "preempted"
    elif any(isinstance(end, lost.OutOfMemoryError) for end in ends):
        kind = "oom"
    elif waited > seconds + HARD_KILL_GRACE_S:
        kind, message = (
            "timeout",
            f"did not answer its limit of {seconds:g} s and lost its processes",
        )
    else:
        kind = "crash"
    about = {"wall_s": waited, "measures_version": MEASURES_VERSION, "ray_version": ray.__version__}
    return {**failed(kind, message).columns, **about}


def _lost_another(columns: dict[str, Any]) -> bool:
    """Whether a process failed because it could no longer reach another one."""
    return columns["failure_kind"] == "bug" and any(
        words in columns["failure_message"] for words in LOST_WORDS
    )
