"""One language model's trial over several GPUs: Ray Train's TorchTrainer, one process for each GPU,
all of them in one placement group.

    results = ray.get(submit(home, stacks, settings, processes=4))

A coordinating task, which reserves no resources itself, starts the processes and waits for them.
Like `harness.dispatch.worker.Worker.work`, it returns the trial's result: that of the first
process, or a failure. The code that runs on other nodes is sent by value: `_coordinate`, `_process`
and the functions that they call must import nothing of this package before `pin_on_node`.
"""

import faulthandler
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import ray
from ray import cloudpickle
from ray import exceptions as lost
from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group

from harness.dispatch import worker
from harness.dispatch.ray_internals import TRAIN_ENVIRONMENT, placement_groups_here
from harness.dispatch.worker import pin_on_node

LOST_PEER_S = 10.0
"""Seconds that a process which can no longer reach another one waits before it reports that. The
other process, or Ray, reports the cause meanwhile, and the cause must come first."""

LOST_PEER_WORDS = (
    "gloo",
    "NCCL",
    "DistBackendError",
    "DistNetworkError",
    "Connection closed by peer",
    "Connection reset by peer",
)
"""What torch.distributed writes when another process no longer answers."""

NETWORK_GRACE_S = 60
"""A collective operation that another process does not join fails this many seconds after the
trial's time limit, so that the trial reports its time limit and not the lost collective."""


def submit(
    home: str, stacks: list[list[dict[str, Any]]], settings: tuple[Any, ...], processes: int
) -> ray.ObjectRef:
    """Start one trial of a `LanguageTask` over this many processes, each with `settings.cpus` CPUs
    and, if `settings.gpus` is above 0, a GPU of its own.

    `home` is the argument of `harness.dispatch.worker.Worker.node`; `stacks`, `settings` and the
    reference's value are those of `work`. `stacks` must hold one trial, and `settings.trained` be
    None. Cancelling the reference by force ends the processes; `reclaim` then frees their GPUs.
    """
    for module in (worker, sys.modules[__name__]):
        cloudpickle.register_pickle_by_value(module)

    options: dict[str, Any] = {
        "num_cpus": 0,
        "max_retries": 0,
        "name": "unilaw-sharded",
        "runtime_env": {"env_vars": TRAIN_ENVIRONMENT},
    }
    return ray.remote(**options)(_coordinate).remote(home, stacks, settings, processes)


def reclaim() -> None:
    """Free what this driver's trials still hold. Call it while none of them is under way, after one
    was cancelled or lost.

    Ray keeps a placement group whose maker was killed until the driver's job ends, and the next
    trial would wait for the group's GPUs.
    """
    job_id = ray.get_runtime_context().get_job_id()
    for group_id in placement_groups_here(placement_group_table(), job_id):
        group = PlacementGroup(ray.PlacementGroupID(bytes.fromhex(group_id)))
        remove_placement_group(group)


def _coordinate(
    home: str, stacks: list[list[dict[str, Any]]], settings: tuple[Any, ...], processes: int
) -> list[tuple[Any, ...]]:
    """Start the processes, wait for them, and return the trial's result."""
    pin_on_node(home)
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    from harness.sweeps.trial import RunSettings

    limits = RunSettings(*settings)
    of_each = {"CPU": limits.cpus}
    if limits.gpus:
        of_each["GPU"] = 1

    # Two networks: tensors on GPUs go over NCCL, what processes tell one another over Gloo
    network = TorchConfig(
        backend="cpu:gloo,cuda:nccl" if limits.gpus else "gloo",
        timeout_s=int(limits.seconds) + NETWORK_GRACE_S,
    )
    scaling = ScalingConfig(
        num_workers=processes,
        use_gpu=limits.gpus > 0,
        resources_per_worker=of_each,
        placement_strategy="PACK",
    )
    # no retries by Ray Train: the driver counts attempts
    no_retries = FailureConfig(0, controller_failure_limit=0, max_preemption_failures=0)

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="unilaw-") as folder:
        trainer = TorchTrainer(
            _process,
            train_loop_config={"home": home, "stacks": stacks, "settings": settings},
            torch_config=network,
            scaling_config=scaling,
            run_config=RunConfig(name="trial", storage_path=folder, failure_config=no_retries),
        )
        try:
            results = trainer.fit().return_value
        except (TrainingFailedError, lost.RayError) as e:
            columns = _failure(e, time.monotonic() - began, limits.seconds)
            results = [(columns, None, None)]

    assert results is not None
    return results


def _process(arguments: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run one process's part of the trial and return the trial's result.

    Raises RuntimeError with the columns of a failure, which the coordinator reads; Ray Train then
    ends the other processes.
    """
    pin_on_node(arguments["home"])
    from datetime import UTC, datetime

    import torch

    import harness.execution.language_trials  # noqa: F401, before the clock of the trial starts
    from harness.execution.limits import peak_memory, reset_peak_memory
    from harness.execution.run_batch import finish, refuse_impossible
    from harness.sweeps.trial import RunSettings

    settings = RunSettings(*arguments["settings"])
    started = datetime.now(UTC)
    clock = time.perf_counter()
    device = torch.device("cpu")
    if settings.gpus:
        device = torch.device("cuda", torch.cuda.current_device())
    torch.backends.cudnn.allow_tf32 = False  # measures need float32 in full
    reset_peak_memory(device.type)

    result = _within_limit(lambda: _part(arguments["stacks"], settings, device), settings.seconds)
    (result,) = refuse_impossible([result])
    result = finish(
        result,
        started,
        time.perf_counter() - clock,
        peak_memory(device.type),
        device.type,
        settings.gpus,
    )
    if result.failure_kind is None:
        return [tuple(result)]

    if _lost_a_peer(result.columns):
        time.sleep(LOST_PEER_S)
    raise RuntimeError(result.columns)


def _within_limit(part: Callable[[], Any], seconds: float) -> Any:
    """Return the TrialResult of the part, or that of a timeout after this many seconds.

    The part runs in a thread, so the limit holds even if the part does not stop. A process that is
    stuck outside Python is ended HARD_KILL_GRACE_S later.
    """
    from harness.execution.failures import failed
    from harness.execution.limits import HARD_KILL_GRACE_S

    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(part()), daemon=True)
    faulthandler.dump_traceback_later(
        seconds + HARD_KILL_GRACE_S, exit=True, file=sys.__stderr__ or 2
    )
    thread.start()
    thread.join(seconds)
    faulthandler.cancel_dump_traceback_later()

    if results:
        return results[0]
    return failed("timeout", f"took longer than the limit of {seconds:g} s")


def _part(stacks: list[list[dict[str, Any]]], settings: Any, device: Any) -> Any:
    """Return the TrialResult of this process's part of the trial, or that of its failure. To be run
    in a thread of its own."""
    from harness.execution.failures import failure

    try:
        import torch
        import torch.distributed as dist

        from harness.execution.language_trials import LanguageTrials
        from harness.execution.limits import flushed_denormals
        from harness.sweeps.registry import TaskRef
        from harness.sweeps.trial import Trial
        from harness.training.processes import Processes

        ((plain,),) = stacks
        trial = Trial(plain["trial_id"], TaskRef(*plain["ref"]), plain["config"], plain["seed"])
        processes = Processes(dist.get_rank(), dist.get_world_size())

        # this and the next two are settings of the thread
        torch.set_num_threads(settings.cpus)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        with flushed_denormals():
            (result,) = LanguageTrials(settings, device, processes).run((trial,))
        return result
    except BaseException as e:
        return failure(e)


def _failure(e: Exception, waited: float, seconds: float) -> dict[str, Any]:
    """Return the failure columns of a trial whose processes did not reach their end.

    Several processes may have failed, each in its own way. The first of these that applies is
    returned: a time limit that a process reported; the end of a process that ended without a
    report; another process's report, a lost peer last. `waited` is how long the trial took,
    `seconds` its time limit.
    """
    from ray.train.v2.api.exceptions import WorkerGroupError

    from harness.dispatch.ray_internals import end_of_process
    from harness.execution.failures import failed
    from harness.store.schema import MEASURES_VERSION

    of_each = list(e.worker_failures.values()) if isinstance(e, WorkerGroupError) else [e]
    reports = [
        dict(error.args[0])
        for error in of_each
        if isinstance(error, RuntimeError) and error.args and isinstance(error.args[0], dict)
    ]
    ends = [end_of_process(error) for error in of_each if not isinstance(error, RuntimeError)]

    timed_out = [columns for columns in reports if columns["failure_kind"] == "timeout"]
    if timed_out:
        return timed_out[0]
    if reports and not ends:
        own = [columns for columns in reports if not _lost_a_peer(columns)]
        return (own or reports)[0]

    kind = _kind_of_end(e, ends, waited, seconds)
    if kind == "timeout":
        message = f"did not stop at its limit of {seconds:g} s and lost its processes"
    else:
        message = f"a process of the trial ended: {' '.join(str((ends or of_each)[0]).split())}"
    return {
        **failed(kind, message).columns,
        "wall_s": waited,
        "measures_version": MEASURES_VERSION,
        "ray_version": ray.__version__,
    }


def _kind_of_end(e: Exception, ends: list[Exception], waited: float, seconds: float) -> str:
    """Return the kind of failure of a trial whose processes ended as `ends` says, without a report
    of their own."""
    from ray.train.v2.api.exceptions import PreemptionError

    from harness.dispatch.ray_internals import actor_lost_its_node
    from harness.execution.limits import HARD_KILL_GRACE_S

    if isinstance(e, PreemptionError) or any(actor_lost_its_node(end) for end in ends):
        return "preempted"
    if any(isinstance(end, lost.OutOfMemoryError) for end in ends):
        return "oom"
    if waited > seconds + HARD_KILL_GRACE_S:
        return "timeout"
    return "crash"


def _lost_a_peer(columns: dict[str, Any]) -> bool:
    """Return whether a process failed because it could no longer reach another one."""
    return columns["failure_kind"] == "bug" and any(
        words in columns["failure_message"] for words in LOST_PEER_WORDS
    )
