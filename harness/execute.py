"""What a worker does with a batch: each trial from data to measured columns, with every failure caught and named.

The same function runs in the driver (`--inline`) and in Ray workers. It returns plain values, never objects of
this package, so a result can be read by a driver that found the package elsewhere.
"""

import contextlib
import faulthandler
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import torch

from harness import provenance
from harness.errors import TrialFailure
from harness.measures import measure, on_device
from harness.measures.counts import count_parameters, count_training_flops
from harness.registry import load
from harness.schema import MEASURES_VERSION
from harness.task import Data, Seeds
from harness.training.loop import Fit, train
from harness.trial import Batch, Trial

HARD_KILL_GRACE_S = 20.0
"""A trial that does not answer its time limit (stuck outside Python) loses its process this much later."""

Columns = dict[str, Any]


class _TimeIsUp(BaseException):
    """Not an Exception, so that no `except Exception` inside a trial can swallow it."""


def run_batch(batch: Batch, cpus: int, gpus: float, seconds: float, weights_bytes: int, killable: bool) -> list[Columns]:
    """The columns of each trial of the batch, in order, plus `_weights` (safetensors bytes or None).

    `seconds` is the time limit per trial. `killable` arms a watchdog that ends this process when a trial
    overstays its limit without noticing; off when the process is the driver.
    """
    torch.set_num_threads(cpus)
    torch.backends.cudnn.allow_tf32 = False  # measures need float32 in full
    device = "cuda" if gpus > 0 else "cpu"
    return [_attempt(trial, device, seconds, weights_bytes, killable) for trial in batch.trials]


def _attempt(trial: Trial, device: str, seconds: float, weights_bytes: int, killable: bool) -> Columns:
    started, clock = datetime.now(UTC), time.perf_counter()
    if device == "cuda" and not torch.cuda.is_available():
        columns = _failed("bug", "resources.gpus asks for a GPU and torch sees none in this process")
        return {"_weights": None, "measures_version": MEASURES_VERSION, "started_at": started, **columns, **provenance.of_worker("cpu")}
    _reset_peak_memory(device)
    columns: Columns = {"_weights": None}
    try:
        with _time_limit(seconds, killable):
            columns |= {"status": "ok", **_run(trial, device, weights_bytes)}
    except _TimeIsUp:
        columns |= _failed("timeout", f"took longer than the limit of {seconds:g} s")
    except TrialFailure as e:
        columns |= _failed(e.kind, str(e))
    except (MemoryError, torch.OutOfMemoryError) as e:
        columns |= _failed("oom", f"{type(e).__name__}: {e}")
    except (Exception, SystemExit) as e:
        out_of_memory = isinstance(e, RuntimeError) and "can't allocate memory" in str(e)
        columns |= _failed("oom" if out_of_memory else "bug", f"{type(e).__name__}: {e}{_last_line(e)}")
    wall = time.perf_counter() - clock
    return columns | {
        "wall_s": wall,
        "peak_bytes": _peak_memory(device),
        "started_at": started,
        "measures_version": MEASURES_VERSION,
        **provenance.of_worker(device),
    }


def _failed(kind: str, message: str) -> Columns:
    return {"status": "failed", "failure_kind": kind, "failure_message": text(message)[:2000]}


def text(said: str) -> str:
    """What a user's code said, as text that every store can hold (no lone surrogates)."""
    return said.encode("utf-8", "replace").decode("utf-8")


def _last_line(e: BaseException) -> str:
    tb = e.__traceback__
    while tb and tb.tb_next:
        tb = tb.tb_next
    return f" ({os.path.basename(tb.tb_frame.f_code.co_filename)}:{tb.tb_lineno})" if tb else ""


def _run(trial: Trial, device: str, weights_bytes: int) -> Columns:
    """Data → model → train → measure for one trial."""
    task, config, seeds = load(trial.ref), trial.load_config(), Seeds(trial.seed)
    data = task.data(config, seeds)
    check(data, task.input_shape(config), config.n)
    data_hash = data.content_hash()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.stream("init"))
        model = task.model(config)
    data, model = on_device(data, torch.device(device)), model.to(device)
    counts = count_parameters(model)
    clock = time.perf_counter()
    fit = train(model, data, config, seeds.generator("order"))
    trained = time.perf_counter()
    measured = measure(model, data, seeds)
    done = time.perf_counter()
    if not math.isfinite(measured["test_loss"]):
        raise TrialFailure("nan", f"the loss on held-out data is {measured['test_loss']}")
    return {
        "family": text(task.family(config)),
        "p": counts.trainable,
        "p_frozen": counts.frozen,
        "params_by_group": [g._asdict() for g in counts.groups],
        "n": config.n,
        "d_ambient": task.d_ambient(config),
        "outputs": 1 if data.classes is None else data.classes,
        "tokens_distinct": config.n,
        "tokens_seen": config.n * fit.epochs,
        "params_per_token": counts.trainable / config.n,
        **_law_columns(data, config.n, config.stop, fit),
        "epochs": fit.epochs,
        "steps": fit.steps,
        "train_loss": fit.loss,
        "train_error": fit.error,
        **measured,
        "flops": float(count_training_flops(model, task.input_shape(config)) * config.n * fit.epochs),
        "train_s": trained - clock,
        "measure_s": done - trained,
        "data_hash": data_hash,
        "_weights": _weights(model, weights_bytes),
    }


def _law_columns(data: Data, n: int, stop: str, fit: Fit) -> Columns:
    noise = data.noise
    reached = fit.loss if data.classes is None else fit.error
    return {
        "noise_kind": noise.kind,
        "eta": noise.eta,
        "sigma2": noise.sigma2,
        "bayes_error": noise.bayes_error,
        "epsilon": noise.epsilon,
        "stop_rule": stop,
        "stop_reason": fit.stop_reason,
        "below_noise": noise.epsilon > 0 and reached <= noise.level - noise.epsilon,
        "below_bayes_error": noise.bayes_error > 0 and fit.error <= noise.bayes_error / 2,
        "isoperimetry": "proved" if data.manifold == "unit-sphere" else "assumed",
        # Bubeck & Sellke 2021, Theorem 3: 8⁴ k log(8k/δ) ≤ n ε², here with k = 1 and δ = 0.05.
        "law_n_large_enough": n * noise.epsilon**2 >= 8**4 * float(torch.log(torch.tensor(8 / 0.05))),
    }


def check(data: Data, input_shape: tuple[int, ...], n: int) -> None:
    """What the engine relies on in a task's data; a slip here is the task's bug. Raises ValueError saying which."""
    if tuple(data.x_train.shape) != (n, *input_shape) or tuple(data.x_test.shape[1:]) != tuple(input_shape):
        raise ValueError(f"data() gave inputs {tuple(data.x_train.shape)}; with n = {n} they must be {(n, *input_shape)}")
    if data.y_train.shape != (n,) or data.y_test.shape != (len(data.x_test),) or not len(data.x_test):
        given = f"{tuple(data.y_train.shape)} and {tuple(data.y_test.shape)}"
        raise ValueError(f"data() gave labels of shape {given}; they must be {(n,)} and {(len(data.x_test),)}, at least one held out")
    if not (data.x_train.isfinite().all() and data.x_test.isfinite().all()):
        raise ValueError("data() gave inputs that are not finite")
    for y in (data.y_train, data.y_test):
        if data.classes is not None:
            if y.dtype != torch.int64 or int(y.min()) < 0 or int(y.max()) >= data.classes:
                raise ValueError(f"data() says {data.classes} classes; labels must be int64 from 0 to {data.classes - 1}")
        elif not y.is_floating_point() or not bool((y.abs() <= 1).all()):
            raise ValueError("data() gave a scalar target that is not a float between −1 and 1; for classes set `classes`")
        elif data.noise.kind in ("none", "label_flip") and not bool((y.abs() == 1).all()):
            raise ValueError("data() gave labels other than −1 and +1")
    if data.manifold == "unit-sphere" and not torch.allclose(data.x_train.flatten(1).norm(dim=1), torch.ones(n), atol=1e-4):
        raise ValueError("data() says unit-sphere and gave points that do not have length 1")


def _weights(model: torch.nn.Module, limit: int) -> bytes | None:
    from safetensors.torch import save

    state = model.state_dict()
    if sum(t.numel() * t.element_size() for t in state.values()) > limit:
        return None
    return save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()})  # clone: tied ones share memory


@contextlib.contextmanager
def _time_limit(seconds: float, killable: bool) -> Iterator[None]:
    """Raise _TimeIsUp in the running code after `seconds`; end a process that cannot notice."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a trial must run in its process's main thread, where its time limit can reach it")

    def ring(signum: int, frame: Any) -> None:
        raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    if killable:
        faulthandler.dump_traceback_later(seconds + HARD_KILL_GRACE_S, exit=True, file=sys.__stderr__ or 2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if killable:
            faulthandler.cancel_dump_traceback_later()


def _reset_peak_memory(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as f:
        f.write("5")  # Linux: start VmHWM anew


def _peak_memory(device: str) -> int | None:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    with contextlib.suppress(OSError), open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
