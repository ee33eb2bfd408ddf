"""Steps that are recorded and replayed train as plain steps do, and steps that no recording can
stand for are done plainly. A CPU replays the operations that it wrote down, at the same places and
with the same numbers from Python, as a CUDA graph does; tests/gpu does the same with CUDA graphs.

Run alone: python -m pytest tests/training/test_recorded.py
"""

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.task import Config, Seeds
from harness.training import recorded
from harness.training.loop import Fit, StackGroup, train
from harness.training.recorded import PLAIN_STEPS
from harness.training.running_stack import RunningStack
from harness.training.stack import Alone, stack
from harness.training.stack_step import StackStep
from tasks.models import mlp
from tests.training.recording import Replays, recorded_by
from tests.training.toy_models import Build, D, Residual, assert_same_weights, data, seeded

N = 50
BATCH = 16

NETS: dict[str, Build] = {
    "chain": lambda width, outputs: mlp(D, width, 2, outputs),
    "other": Residual,
}

RECIPES: dict[str, dict[str, Any]] = {
    "adam": {"warmup_steps": 7},
    "adamw": {"optimiser": "adamw", "weight_decay": 0.5, "warmup_steps": 30},
    "sgd": {"optimiser": "sgd", "weight_decay": 0.1},
    "fgsm": {"adversary": "fgsm", "adversary_radius": 0.1},
    "pgd": {"adversary": "pgd", "adversary_radius": 0.1, "adversary_steps": 3},
    "pgd in l2": {
        "adversary": "pgd",
        "adversary_norm": "l2",
        "adversary_radius": 0.1,
        "adversary_steps": 3,
    },
}


def config(**fields: Any) -> Config:
    defaults = {"n": N, "batch_size": BATCH, "stop": "epochs", "max_epochs": 5, "lr": 0.01}
    return Config.model_validate({**defaults, **fields})


def group(fields: Config, seed: int) -> StackGroup:
    return StackGroup.of(fields, data(seed, 3, n=N), Seeds(seed))


def trained(modules: list[nn.Module], configs: list[Config], groups: int) -> list[nn.Module]:
    """Train copies of the models as a stack of groups that differ in seed and rate."""
    modules = copy.deepcopy(modules)
    per_group = len(modules) // groups
    shared = [group(configs[g * per_group], g) for g in range(groups)]
    fits = train(stack(modules, shared[0].data.x_train[:4]), shared, configs)
    assert all(isinstance(fit, Fit) for fit in fits)
    return modules


def assert_equal_weights(modules: list[nn.Module], others: list[nn.Module]) -> None:
    for module, other in zip(modules, others, strict=True):
        assert_same_weights(module, other, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("net", "recipe"), [*(("chain", recipe) for recipe in RECIPES), ("other", "pgd")]
)
def test_a_replayed_stack_trains_as_a_plain_one(net: str, recipe: str):
    """Two groups of other rates, whose models leave after two to five epochs; the last batch of an
    epoch is smaller."""
    modules = [seeded(lambda w=w: NETS[net](w, 3), i) for i, w in enumerate([8, 5, 3] * 2)]
    configs = [
        config(**RECIPES[recipe], max_epochs=epochs, lr=lr)
        for epochs, lr in zip([3, 5, 2, 2, 5, 3], [0.01] * 3 + [0.003] * 3, strict=True)
    ]
    plain = trained(modules, configs, groups=2)
    recorder = Replays()
    with recorded_by(recorder):
        replayed = trained(modules, configs, groups=2)

    assert recorder.replayed > recorder.recorded > 0
    assert_equal_weights(replayed, plain)


@pytest.mark.parametrize("recipe", ["adam", "pgd"])
def test_a_replayed_model_alone_trains_as_a_plain_one(recipe: str):
    model = seeded(lambda: mlp(D, 8, 1, 3))
    (plain,) = trained([model], [config(**RECIPES[recipe])], groups=1)
    with recorded_by(Replays()):
        (replayed,) = trained([model], [config(**RECIPES[recipe])], groups=1)
    assert_equal_weights([replayed], [plain])


def test_a_replayed_dropout_draws_what_a_plain_one_draws():
    model = seeded(lambda: nn.Sequential(nn.Linear(D, 8), nn.Dropout(0.5), nn.Linear(8, 3)))
    ends = []
    for recorder in (None, Replays()):
        with recorded_by(recorder), torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            ends += trained([model], [config()], groups=1)
    assert_equal_weights(ends[:1], ends[1:])
    assert recorder and recorder.replayed


def running(model: nn.Module) -> RunningStack:
    return RunningStack(Alone(model), [group(config(), 0)], 1)


def test_each_size_of_batch_is_recorded_once():
    recorder = Replays()
    with recorded_by(recorder):
        stack = running(seeded(lambda: mlp(D, 8, 1, 3)))
        for _ in range(PLAIN_STEPS + 1):
            assert not stack.is_warm
            stack.epoch(BATCH)
    assert stack.is_warm
    assert recorder.recorded == recorder.watched == 2, "batches of 16, and the last of 2"
    steps = (PLAIN_STEPS + 1) * 4
    # Each recording is tested once, against a plain step that does not count.
    assert recorder.plain + recorder.watched + recorder.replayed == steps + 2
    assert recorder.replayed == steps - 2 * PLAIN_STEPS


def reading_old_rows(work: Callable[[], None]) -> Callable[[], None]:
    """Record what a graph would be whose inputs do not lie in a fixed place."""
    step: StackStep = work.__self__  # pyright: ignore[reportFunctionMemberAccess]
    rows = step.rows.clone()

    def replay() -> None:
        step.rows.copy_(rows)
        work()

    return replay


def failing(work: Callable[[], None]) -> Callable[[], None]:
    raise RuntimeError("operation not permitted when stream is capturing\nand more")


class Counting(nn.Linear):
    """A layer that counts its calls in Python."""

    calls = 0

    def forward(self, input: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(input) / self.calls


class Listing(nn.Linear):
    """A layer that counts its calls in a list of its own."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.calls = {"forward": [0]}

    def forward(self, input: Tensor) -> Tensor:
        self.calls["forward"][0] += 1
        return super().forward(input) / self.calls["forward"][0]


class Replacing(nn.Linear):
    """A layer that puts a new tensor for its buffer in every call."""

    calls: Tensor

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, input: Tensor) -> Tensor:
        self.calls = self.calls + 1
        return super().forward(input) / self.calls


CALLS = itertools.count()


class Growing(nn.Linear):
    """A layer whose scale follows a count in Python that no module holds."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * 1.5 ** next(CALLS)


def test_a_number_that_python_puts_into_a_recording_is_found():
    recorder = Replays()
    with recorded_by(recorder):
        stack = running(seeded(lambda: Growing(D, 3)))
        for _ in range(6):
            stack.epoch(N)
    (step,) = stack.recorded
    assert step.why_plain and step.why_plain.startswith("recorded, the ")
    assert recorder.recorded == recorder.replayed == 1, "as a test"


@pytest.mark.parametrize("copy_without_room", [1, 2])
def test_a_recording_that_there_is_no_room_to_test_is_not_used(
    copy_without_room: int, monkeypatch: pytest.MonkeyPatch
):
    copies = 0

    def full_at_last(step: StackStep) -> dict[str, list[Tensor]]:
        nonlocal copies
        copies += 1
        if copies == copy_without_room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return own_copies(step)

    own_copies = recorded._copies
    monkeypatch.setattr(recorded, "_copies", full_at_last)
    model = seeded(lambda: nn.Linear(D, 3))
    plain = running(copy.deepcopy(model))
    figures = [plain.epoch(N) for _ in range(6)]
    with recorded_by(Replays()):
        stack = running(model)
        assert [stack.epoch(N) for _ in range(6)] == figures
    (step,) = stack.recorded
    assert step.why_plain == "there is no room to test the recording"
    assert_equal_weights([model], [plain.program.skeleton])


def test_a_recording_that_differs_is_not_used():
    recorder = Replays()
    recorder.record = reading_old_rows
    assert_trains_plainly(seeded(lambda: nn.Linear(D, 3)), recorder, "recorded, the ")


def test_a_step_that_cannot_be_recorded_is_done_plainly():
    recorder = Replays()
    recorder.record = failing
    said = "RuntimeError: operation not permitted when stream is capturing"
    assert_trains_plainly(nn.Linear(D, 3), recorder, said)


def test_a_step_that_waits_is_not_recorded():
    recorder = Replays()
    recorder.refusal = "the step reads a number from the GPU"
    assert_trains_plainly(nn.Linear(D, 3), recorder, recorder.refusal)


@pytest.mark.parametrize("kind", [Counting, Listing, Replacing])
def test_a_model_that_changes_itself_in_python_is_not_recorded(kind: type[nn.Linear]):
    said = "the step changes what the model's modules hold, in Python"
    assert_trains_plainly(kind(D, 3), Replays(), said)


def assert_trains_plainly(model: nn.Module, recorder: Replays, why: str) -> None:
    plain = running(copy.deepcopy(model))
    figures = [plain.epoch(BATCH) for _ in range(6)]
    with recorded_by(recorder):
        stack = running(model)
        assert [stack.epoch(BATCH) for _ in range(6)] == figures
    assert {step.why_plain and step.why_plain[: len(why)] for step in stack.recorded} == {why}
    assert recorder.replayed == 0
    assert_equal_weights([model], [plain.program.skeleton])


def test_a_model_that_has_diverged_does_not_keep_a_stack_from_being_recorded():
    modules = [seeded(lambda: mlp(D, 8, 1, 3), i) for i in range(3)]
    with torch.no_grad():
        next(modules[1].parameters()).fill_(1e30)
    recorder = Replays()
    with recorded_by(recorder):
        program = stack(modules, torch.randn(4, D))
        stretch = RunningStack(program, [group(config(), 0)], 3)
        for _ in range(PLAIN_STEPS + 1):
            stretch.epoch(BATCH)
    assert recorder.replayed and all(step.why_plain is None for step in stretch.recorded)


def test_recorded_stacks_shrink_by_an_eighth_at_least():
    modules = [seeded(lambda: mlp(D, 4, 1, 3), i) for i in range(24)]
    with recorded_by(Replays()):
        running = RunningStack(stack(modules, torch.randn(4, D)), [group(config(), 0)], 24)
        running.drop({0, 1})
        assert len(running.models) == 24
        running.drop({0, 1, 2})
        assert len(running.models) == 21
