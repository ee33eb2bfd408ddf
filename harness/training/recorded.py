"""Record a step on a GPU once, as a CUDA graph, and replay it. A small step takes some forty
launches, each longer than what it launches; a graph is launched as one.

torch offers three ways to this. `torch.cuda.make_graphed_callables` records a module's forward and
backward; neither the optimiser's kernels nor an adversary's inner loop fit in.
`torch.compile(mode="reduce-overhead")` compiles first, for seconds to a minute for every shape of
stack, and gives up after eight shapes in a process, where a sweep has hundreds. `torch.cuda.graph`
records whatever a function launches, in about the time of the step itself. It asks for fixed
places in memory, which `StackStep` has. So it is the third.

What depends on data stays outside: the next batch, the rate of a warm-up, stop rules, models that
leave. A graph is valid for one stack and one size of batch.
"""

import contextlib
import gc
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from harness.training.anatomy import anatomy
from harness.training.stack_step import StackStep

PLAIN_STEPS = 3
"""Steps before the recording. CUDA libraries set themselves up in them, and a stack that shrinks
every few steps is never recorded. The last of them is watched."""

LAUNCH_BOUND = 1.5
"""A step is recorded where the GPU takes at most this multiple of the seconds that Python takes to
launch it. A longer step hides its launches, and its graph would hold its memory twice."""

SAME_STEP = 0.2
"""The largest difference between what a recorded step changes and what the plain step changes, over
the latter. Rounding stays far below, even where Adam takes a gradient of rounding noise for a
step; a recording that reads old inputs differs by about 1."""


_State = dict[str, list[Tensor]]
"""What a step changes, by kind."""


class Recorder(Protocol):
    """What records work on a device."""

    def do(self, work: Callable[[], None]) -> None:
        """Do the work plainly, where recording is going to happen."""
        ...

    def watch(self, work: Callable[[], None]) -> str | None:
        """Do the work plainly, and return why it is not to be recorded, or None."""
        ...

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record the work without doing it, and return what replays it."""
        ...

    def forked(self) -> contextlib.AbstractContextManager[None]:
        """Restore the device's generator of random numbers at the end."""
        ...


@cache
def recorder_for(device: torch.device) -> Recorder | None:
    """Return the process's recorder of a device's work; None for a CPU, which has no launches to
    save."""
    return CudaRecorder(device) if device.type == "cuda" else None


class CudaRecorder:
    """Records CUDA graphs, all on one stream: on each stream that a process uses, cuBLAS keeps some
    10 to 30 MB for good.

    Every graph has memory of its own. torch does not lend the memory of a graph that is gone, and
    what a second graph would share is small beside the data.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.failed: str | None = None
        """Why a recording failed; from then on this process records nothing."""

    def do(self, work: Callable[[], None]) -> None:
        """Do the work on the stream on which graphs are recorded."""
        with self._beside():
            work()

    def watch(self, work: Callable[[], None]) -> str | None:
        """Do the work, and return whether Python waits for the GPU in it, or hardly anything but
        the GPU takes time."""
        begin = torch.cuda.Event(enable_timing=True)
        end = torch.cuda.Event(enable_timing=True)
        with warnings.catch_warnings(record=True) as caught, _warnings_of_waiting():
            warnings.simplefilter("always")
            with self._beside():
                begin.record()
                clock = time.perf_counter()
                work()
                launching = time.perf_counter() - clock
                end.record()

        if any("called a synchronizing CUDA operation" in str(w.message) for w in caught):
            return "the step reads a number from the GPU"
        end.synchronize()
        seconds = begin.elapsed_time(end) / 1000
        if seconds > LAUNCH_BOUND * launching:
            return f"the GPU takes {seconds:.2g} s for a step, its launches {launching:.2g} s"
        return None

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record a graph. Other threads of the process may use the GPU meanwhile.

        Raise RuntimeError where that fails. CUDA cannot say beforehand what it will refuse.
        """
        if self.failed:
            raise RuntimeError(f"an earlier recording of this process failed: {self.failed}")

        graph = torch.cuda.CUDAGraph()
        pool = torch.cuda.graph_pool_handle()
        try:
            # torch.cuda.graph leaves its stream the current one where it cannot begin.
            with torch.cuda.stream(self.stream), _no_garbage_collection():
                with torch.cuda.graph(
                    graph, pool=pool, stream=self.stream, capture_error_mode="thread_local"
                ):
                    work()
        except RuntimeError as e:
            self.failed = str(e).splitlines()[0][:200]
            self._clear_up(pool)
            raise
        return graph.replay

    def _clear_up(self, pool: tuple[int, int]) -> None:
        """Undo what a failed recording leaves in torch.

        Before torch 2.12 memory goes on being lent from the recording's pool, and the next clearing
        of the cache fails (github.com/pytorch/pytorch/pull/180395). The generator goes on counting
        its draws as a recording's, and the next dropout fails, until another recording ends well.
        """
        index = torch.cuda.current_device() if self.device.index is None else self.device.index
        with contextlib.suppress(RuntimeError):  # nothing to undo
            torch._C._cuda_endAllocateToPool(index, pool)
        with contextlib.suppress(RuntimeError):
            counter = torch.zeros((), device=self.device)
            with torch.cuda.stream(self.stream):
                with torch.cuda.graph(torch.cuda.CUDAGraph(), stream=self.stream):
                    counter.add_(1)

    def forked(self) -> contextlib.AbstractContextManager[None]:
        return torch.random.fork_rng(devices=[self.device])

    @contextlib.contextmanager
    def _beside(self) -> Iterator[None]:
        """Run on the recorder's stream, after what was launched before and before what follows."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            yield
        current.wait_stream(self.stream)


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep Python from collecting old graphs: to destroy one is not allowed during a recording."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextlib.contextmanager
def _warnings_of_waiting() -> Iterator[None]:
    """Let torch warn of every operation that waits for the GPU."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


class RecordedStep:
    """A step that is done plainly a few times and then replayed, if a recording can stand for it.

    A recording is made between two batches, and compared with the plain step at the second of them
    before it counts. Where it differs, or cannot be made, the step goes on plainly: the same
    numbers, later.
    """

    def __init__(self, step: StackStep, recorder: Recorder):
        self.step = step
        self.recorder = recorder
        self.why_plain: str | None = None
        """Why the step is not recorded; None while it may be."""
        self.replay: Callable[[], None] | None = None
        self._untested: Callable[[], None] | None = None
        self._plain_steps = 0

    @property
    def settled(self) -> bool:
        """Return whether it is decided how further steps are done."""
        return bool(self.replay or self.why_plain)

    def load(self, rows: Tensor, steps_done: int) -> None:
        """Take in what the next step is about, as `StackStep.load` does."""
        self.step.load(rows, steps_done)

    def work(self) -> None:
        """Do the step that was loaded."""
        if self.replay:
            self.replay()
        elif self._untested:
            self._test(self._untested)
            self._untested = None
        elif self.why_plain or self._plain_steps < PLAIN_STEPS - 1:
            self.recorder.do(self.step.work)
            self._plain_steps += 1
        else:
            self.why_plain = self._watched()
            if not self.why_plain:
                self._record()

    def _watched(self) -> str | None:
        """Do the step, and return why it is not to be recorded."""
        before = _held(self.step)
        why = self.recorder.watch(self.step.work)
        if _held(self.step) != before:
            return "the step changes what the model's modules hold, in Python"
        return why

    def _record(self) -> None:
        """Record the step without doing it."""
        try:
            self._untested = self.recorder.record(self.step.work)
        except RuntimeError as e:  # CUDA's errors and torch's own; out of memory too
            self.why_plain = f"{type(e).__name__}: {str(e).splitlines()[0][:200]}"

    def _test(self, replay: Callable[[], None]) -> None:
        """Do the step by a replay if that does what the plain step does, plainly otherwise."""
        before: _State = {}
        plain: _State = {}
        try:
            with self.recorder.forked():
                before = _copies(self.step)
                self.recorder.do(self.step.work)
                plain = _copies(self.step)
            _restore(self.step, before)
            replay()
            self.why_plain = _unlike(self.step.state(), plain, before)
        except torch.OutOfMemoryError:
            self.why_plain = "there is no room to test the recording"

        if not self.why_plain:
            self.replay = replay
        elif plain:
            _restore(self.step, plain)
        else:
            _restore(self.step, before)
            before.clear()
            self.recorder.do(self.step.work)


def _held(step: StackStep) -> object:
    """Return a key of what the program's modules hold besides the contents of tensors."""
    held = anatomy(step.program.skeleton)
    tensors = [id(tensor) for tensor in (*held.parameters.values(), *held.buffers.values())]
    return held.attributes, tensors


def _copies(step: StackStep) -> _State:
    return {kind: [t.detach().clone() for t in ts] for kind, ts in step.state().items()}


@torch.no_grad()
def _restore(step: StackStep, saved: _State) -> None:
    """Set the step back; nothing where nothing was saved."""
    for kind, copies in saved.items():
        for tensor, copy in zip(step.state()[kind], copies, strict=True):
            tensor.copy_(copy)


def _unlike(recorded: _State, plain: _State, before: _State) -> str | None:
    """Return what the recorded step changes in another way than the plain one, or None."""
    for kind in ("weights", "first moments"):
        change = _distance(plain[kind], before[kind])
        difference = _distance(recorded[kind], plain[kind])
        if difference > SAME_STEP * change:
            return f"recorded, the {kind} differ by {difference:.2g} of {change:.2g}"
    return None


@torch.no_grad()
def _distance(tensors: list[Tensor], others: list[Tensor]) -> float:
    """Return the Euclidean distance of two lists of tensors, as one vector each. Numbers that are
    not finite, as in a model of a stack that has diverged, do not count."""
    squares = [
        (a - b).double().nan_to_num(0, 0, 0).square().sum()
        for a, b in zip(tensors, others, strict=True)
    ]
    return float(torch.stack(squares).sum().sqrt())
