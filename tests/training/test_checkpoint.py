"""Checkpoints: a trial that was cut off goes on as if it had not been, and only from a file that
is its own and whole."""

import copy
import dataclasses
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from harness import run as run_module
from harness.execution.run_batch import run_batch
from harness.noise import flip_labels, resample_labels
from harness.planning.machine_speed import Calibration, Cost
from harness.store.schema import Columns
from harness.store.store import Store
from harness.sweeps.registry import TaskRef, refs_in
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.sweeps.trial import Batch, RunSettings, Trial
from harness.task import Config, Data, Seeds
from harness.terminal.progress import Progress
from harness.training import checkpoint as checkpoint_module
from harness.training.checkpoint import TrialCheckpoint
from harness.training.loop import Checkpoint, Evaluation, Fit, StackGroup, train
from harness.training.stack import Alone, stack
from tasks.models import MadryCNN, mlp
from tests import FAILING_TASK
from tests.training.test_loop import Recorder

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def after_every_epoch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoint_module, "EVERY_S", 0.0)


def any_trial(name: str = "0" * 16) -> Trial:
    return Trial(name, TaskRef("sphere"), {}, 0)


def checkpoint_in(folder: Path, trial: Trial | None = None) -> TrialCheckpoint:
    made = TrialCheckpoint.at(f"{folder}/{{}}.safetensors", trial or any_trial())
    assert made is not None
    return made


class Warming(nn.Module):
    """Counts its calls in a buffer, and answers accordingly."""

    calls: Tensor

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 1)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        return self.linear(x) / (1 + 0.1 * self.calls)


class Replacing(Warming):
    """The same with another tensor for the buffer every time."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls = self.calls + 1
        return self.linear(x) / (1 + 0.1 * self.calls)


def tied() -> nn.Module:
    twins = nn.Linear(6, 6), nn.Linear(6, 6)
    twins[1].weight = twins[0].weight
    return nn.Sequential(*twins, nn.ReLU(), nn.Linear(6, 1))


def half_frozen() -> nn.Module:
    made = mlp(6, 8, 1, 1)
    made[1].requires_grad_(False)
    return made


def transposed() -> nn.Module:
    made = mlp(6, 8, 1, 1)
    made[1].weight = nn.Parameter(torch.randn(6, 8).T)
    return made


MODELS: dict[str, tuple[Callable[[], nn.Module], int, tuple[int, ...]]] = {
    "mlp": (lambda: mlp(6, 16, 2, 1), 1, (6,)),
    "mlp of classes": (lambda: mlp(6, 16, 1, 3), 3, (6,)),
    "cnn": (lambda: MadryCNN(1, 3), 3, (1, 28, 28)),
    "tied": (tied, 1, (6,)),
    "half frozen": (half_frozen, 1, (6,)),
    "transposed": (transposed, 1, (6,)),
    "with a buffer that changes": (Warming, 1, (6,)),
    "with a buffer that is replaced": (Replacing, 1, (6,)),
}
"""Model, outputs, shape of an input."""

EPOCHS = 6


def samples(outputs: int, shape: tuple[int, ...], seed: int = 0) -> Data:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(18, *shape, generator=draw)
    if outputs == 1:
        y, noise = flip_labels(x.flatten(1)[:, 0].sign(), 0.2, draw)
        return Data(x, y, x[:4], y[:4], noise)
    y, noise = resample_labels(torch.arange(18) % outputs, outputs, 0.2, draw)
    return Data(x, y, x[:4], y[:4], noise, classes=outputs)


def seeded(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


class CutOff(Exception):
    """What ends a training in the middle of these tests."""


class Training:
    """One trial's training, begun anew: initial weights, order and data from the seeds."""

    def __init__(self, model: str, **about: Any):
        build, outputs, shape = MODELS[model]
        self.module, self.data = seeded(build), samples(outputs, shape)
        self.order, self.starts = Seeds(0).generator("order"), Seeds(0).generator("adversary")
        given = {"n": 18, "batch_size": 4, "stop": "epochs", "max_epochs": EPOCHS, **about}
        self.config = Config.model_validate(given)

    def go(
        self, start: Checkpoint | None = None, keep: Callable[[Checkpoint], None] = lambda _: None
    ) -> Fit:
        (fit,) = train(
            Alone(self.module),
            [
                StackGroup(
                    self.data, self.order, 1e-2, self.starts if self.config.adversary else None
                )
            ],
            [self.config],
            start,
            keep,
        )
        assert isinstance(fit, Fit)
        return fit

    def until(self, epoch: int, kept: TrialCheckpoint, start: Checkpoint | None = None) -> None:
        """As far as `epoch`, which is the last to be kept."""

        def keep(state: Checkpoint) -> None:
            kept.save(state)
            if state.epoch == epoch:
                raise CutOff

        with pytest.raises(CutOff):
            self.go(start, keep)

    def state(self) -> dict[str, Tensor]:
        return {
            **self.module.state_dict(),
            "order": self.order.get_state(),
            "starts": self.starts.get_state(),
        }


def assert_equal_bits(mine: dict[str, Tensor], its: dict[str, Tensor]) -> None:
    assert mine.keys() == its.keys()
    for name, tensor in mine.items():
        assert torch.equal(tensor, its[name]), name


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("cuts", [[1], [3], [EPOCHS - 1], [1, 2, 4]], ids=str)
def test_training_that_was_cut_off_ends_bit_for_bit_as_one_that_was_not(
    model: str, cuts: list[int], tmp_path: Path
):
    whole = Training(model)
    expected = whole.go()
    kept = checkpoint_in(tmp_path)
    for cut in cuts:
        Training(model).until(cut, kept, kept.load(CPU))
    start = kept.load(CPU)
    assert start is not None and start.epoch == cuts[-1]
    again = Training(model)
    assert again.go(start) == expected
    assert_equal_bits(again.state(), whole.state())


@pytest.mark.parametrize("model", ["mlp", "mlp of classes", "cnn"])
@pytest.mark.parametrize(
    "adversary",
    [{"adversary": "fgsm"}, {"adversary": "pgd", "adversary_steps": 3}],
    ids=["fgsm", "pgd"],
)
def test_training_against_an_adversary_goes_on_bit_for_bit_too(
    model: str, adversary: dict[str, Any], tmp_path: Path
):
    about = {**adversary, "adversary_radius": 0.3}
    whole, natural = Training(model, **about), Training(model)
    expected = whole.go()
    assert natural.go() != expected
    kept = checkpoint_in(tmp_path)
    for cut in (2, 4):
        Training(model, **about).until(cut, kept, kept.load(CPU))
    again = Training(model, **about)
    assert again.go(kept.load(CPU)) == expected
    assert_equal_bits(again.state(), whole.state())


def test_the_next_epochs_see_the_order_that_they_would_have_seen(tmp_path: Path):
    def training() -> Training:
        made = Training("mlp")
        x = torch.arange(18.0)[:, None]
        made.module, made.data = seeded(Recorder), dataclasses.replace(made.data, x_train=x)
        return made

    whole, begun, gone_on, kept = training(), training(), training(), checkpoint_in(tmp_path)
    whole.go()
    begun.until(2, kept)
    gone_on.go(kept.load(CPU))
    seen: list[Any] = [t.module.seen for t in (whole, begun, gone_on)]
    assert seen[1] + seen[2] == seen[0] and len(seen[1]) == 2 * 18


@pytest.mark.parametrize("stop", ["noise", "interpolate"])
def test_a_stop_rule_is_met_when_it_would_have_been(stop: str, tmp_path: Path):
    whole, kept = Training("mlp", stop=stop, max_epochs=500), checkpoint_in(tmp_path)
    expected = whole.go()
    assert 3 < expected.epochs < 500
    Training("mlp", stop=stop, max_epochs=500).until(expected.epochs - 1, kept)
    again = Training("mlp", stop=stop, max_epochs=500)
    assert again.go(kept.load(CPU)) == expected
    assert_equal_bits(again.state(), whole.state())


def test_a_whole_stack_goes_on_exactly_too():
    def lot() -> tuple[list[nn.Module], list[StackGroup], list[Config]]:
        modules = [
            seeded(lambda width=width: mlp(6, width, 1, 1), i)
            for i, width in enumerate([8, 3, 5, 8, 3, 5])
        ]
        rows = [
            StackGroup(samples(1, (6,), seed), Seeds(seed).generator("order"), lr)
            for seed, lr in ((0, 1e-2), (1, 3e-3))
        ]
        return modules, rows, [Training("mlp").config] * 6

    def go(modules: list[nn.Module], *more: Any) -> Any:
        return train(stack(modules, samples(1, (6,)).x_train[:4]), *more)

    modules, rows, configs = lot()
    kept: list[Checkpoint] = []
    expected = go(modules, rows, configs)

    def keep(state: Checkpoint) -> None:
        if state.epoch == 3:
            kept.append(
                copy.deepcopy(
                    state._replace(
                        parameters={name: t.detach() for name, t in state.parameters.items()}
                    )
                )
            )

    go(*lot(), None, keep)
    again, rows, configs = lot()
    assert go(again, rows, configs, kept[0]) == expected
    for mine, its in zip(again, modules, strict=True):
        assert_equal_bits(mine.state_dict(), its.state_dict())


def made_up(epoch: int) -> Checkpoint:
    numbers = (torch.arange(3.0) + k for k in range(4))
    parameters, buffers, first, second = ({"a.b": t} for t in numbers)
    return Checkpoint(
        epoch,
        parameters,
        buffers,
        first,
        second,
        [torch.ones(1)],
        torch.get_rng_state(),
        {0: Evaluation(0.9, 0.5)},
    )


def test_what_was_saved_comes_back(tmp_path: Path):
    orders, starts = (
        [torch.Generator().manual_seed(k).get_state() for k in seeds] for seeds in ((1, 2), (3, 4))
    )
    state = made_up(7)._replace(orders=orders, starts=starts)
    checkpoint_in(tmp_path).save(state)
    found = checkpoint_in(tmp_path).load(CPU)
    assert found is not None and found.epoch == 7
    for mine, its in zip(found[1:5], state[1:5], strict=True):
        assert_equal_bits(mine, its)
    assert all(map(torch.equal, found.orders, state.orders)) and len(found.orders) == 2
    assert all(map(torch.equal, found.starts, state.starts)) and len(found.starts) == 2
    assert torch.equal(found.dropout, state.dropout) and found.lags == state.lags
    assert [p.name for p in tmp_path.iterdir()] == [f"{any_trial().trial_id}.safetensors"], (
        "no temporary file stays"
    )


def test_no_file_no_checkpoint(tmp_path: Path):
    assert checkpoint_in(tmp_path).load(CPU) is None


def saved(folder: Path) -> Path:
    Training("mlp").until(2, checkpoint_in(folder))
    return next(folder.iterdir())


def rewritten(path: Path, metadata: dict[str, str] | None = None, **without: str) -> None:
    """The file with other metadata, or without some tensors."""
    with safe_open(path, framework="pt") as f:
        said: dict[str, str] = f.metadata()
    tensors = {
        name: t
        for name, t in load_file(path).items()
        if not name.startswith(tuple(without.values()) or "-")
    }
    save_file(tensors, path, metadata=said if metadata is None else metadata)


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda p: p.write_bytes(b""),
    "a few bytes": lambda p: p.write_bytes(p.read_bytes()[:5]),
    "the header cut": lambda p: p.write_bytes(p.read_bytes()[:100]),
    "half of it": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "the last byte gone": lambda p: p.write_bytes(p.read_bytes()[:-1]),
    "bytes at the end": lambda p: p.write_bytes(p.read_bytes() + b"more"),
    "noise": lambda p: p.write_bytes(bytes(range(256)) * 40),
    "text": lambda p: p.write_text("a letter\n" * 100),
    "a pickle": lambda p: torch.save({"epoch": 2}, p),
    "no metadata": lambda p: rewritten(p, {}),
    "no epoch": lambda p: rewritten(p, {k: v for k, v in checkpoint_in(p.parent).made_by.items()}),
    "an epoch that is no number": lambda p: rewritten(
        p, {**checkpoint_in(p.parent).made_by, "epoch": "two"}
    ),
    "no order": lambda p: rewritten(p, a="generators/1"),
    "no moments": lambda p: rewritten(p, a="first_moments/"),
    "a folder": lambda p: (p.unlink(), p.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_no_checkpoint(damage: Callable[[Path], Any], tmp_path: Path):
    path = saved(tmp_path)
    assert checkpoint_in(tmp_path).load(CPU) is not None
    damage(path)
    assert checkpoint_in(tmp_path).load(CPU) is None


def test_a_checkpoint_that_cannot_be_written_costs_the_checkpoint_and_not_the_trial(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    kept = checkpoint_in(folder)
    folder.rmdir()
    whole, other = Training("mlp"), Training("mlp")
    assert whole.go(keep=kept.save) == other.go() and kept.load(CPU) is None


def test_a_damaged_file_is_replaced_by_the_next_one(tmp_path: Path):
    saved(tmp_path).write_bytes(b"torn")
    saved(tmp_path)
    assert checkpoint_in(tmp_path).load(CPU) is not None


def test_another_trials_checkpoint_is_ignored(tmp_path: Path):
    other = tmp_path / f"{'1' * 16}.safetensors"
    saved(tmp_path).rename(other)
    assert checkpoint_in(tmp_path, any_trial("1" * 16)).load(CPU) is None


def test_another_torchs_checkpoint_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    saved(tmp_path)
    monkeypatch.setattr(torch, "__version__", "1.0")
    assert checkpoint_in(tmp_path).load(CPU) is None


def test_another_training_codes_checkpoint_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    saved(tmp_path)
    monkeypatch.setattr(checkpoint_module, "IDENTITY_VERSION", 10**6)
    assert checkpoint_in(tmp_path).load(CPU) is None


def test_saved_at_most_every_so_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr(checkpoint_module, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(checkpoint_module, "EVERY_S", 30.0)
    kept, found = checkpoint_in(tmp_path), []
    for epoch, seconds in enumerate([10, 19, 1, 29, 2, 40, 5], start=1):
        now[0] += seconds
        kept.save(made_up(epoch))
        there = kept.load(CPU)
        found.append(there and there.epoch)
    assert found == [None, None, 3, 3, 5, 6, 6]


def test_a_folder_that_is_not_there_keeps_none(tmp_path: Path):
    assert TrialCheckpoint.at(None, any_trial()) is None
    assert TrialCheckpoint.at(str(tmp_path / "gone" / "{}.safetensors"), any_trial()) is None


def sphere(seed: int = 0, **fixed: Any) -> Trial:
    given = {"n": 32, "d": 4, "width": 8, "stop": "epochs", "max_epochs": 5, **fixed}
    return sweep(f"seeds: [{seed}]\ntasks:\n  - task: sphere\n    fixed: {given}\n").trials[0]


def sweep(text: str) -> Sweep:
    return parse_sweep(f"name: a\n{text}", "sweep.yaml", refs_in(FAILING_TASK))


def ran(trials: Sequence[Trial], checkpoints: str | None) -> list[Columns]:
    given = RunSettings(
        cpus=1, gpus=0, seconds=60, weights_bytes=10**6, measure_points=8, checkpoints=checkpoints
    )
    results = run_batch(Batch((tuple(trials),)), given)
    return [result.columns | {"weights": result.weights} for result in results]


TIMES = {"wall_s", "train_s", "measure_s", "measure_share", "peak_bytes", "started_at"}


def of_the_result(columns: Columns) -> Columns:
    return {k: v for k, v in columns.items() if k not in TIMES}


def test_a_trial_goes_on_from_its_checkpoint_and_says_so(tmp_path: Path):
    pattern = str(tmp_path / "{}.safetensors")
    (whole,), (first,), (second,) = (
        ran([sphere()], None),
        ran([sphere()], pattern),
        ran([sphere()], pattern),
    )
    assert [c["status"] for c in (whole, first, second)] == ["ok"] * 3
    assert [c["resumed_epoch"] for c in (whole, first, second)] == [None, None, 4]
    assert (
        of_the_result(second) | {"resumed_epoch": None}
        == of_the_result(whole)
        == of_the_result(first)
    )
    assert second["weights"] == whole["weights"] and second["epochs"] == 5


def test_a_trial_whose_checkpoint_is_damaged_begins_anew(tmp_path: Path):
    pattern = str(tmp_path / "{}.safetensors")
    (whole,) = ran([sphere()], pattern)
    (tmp_path / f"{sphere().trial_id}.safetensors").write_bytes(b"torn")
    (again,) = ran([sphere()], pattern)
    assert again["resumed_epoch"] is None and of_the_result(again) == of_the_result(whole)


def test_trials_of_a_stack_keep_none(tmp_path: Path):
    columns = ran([sphere(), sphere(width=4)], str(tmp_path / "{}.safetensors"))
    assert [c["stack_size"] for c in columns] == [2, 2] and not list(tmp_path.iterdir())
    assert [c["resumed_epoch"] for c in columns] == [None, None]


def test_a_trial_that_falls_out_of_its_stack_keeps_one(tmp_path: Path):
    trials = [trouble(seed, how="tied") for seed in (0, 1)]
    columns = ran(trials, str(tmp_path / "{}.safetensors"))
    if all(c["stack_size"] == 1 for c in columns):  # tied layers may be stacked one day
        assert {p.stem for p in tmp_path.iterdir()} == {t.trial_id for t in trials}


def trouble(seed: int = 0, **fixed: Any) -> Trial:
    return sweep(f"seeds: [{seed}]\ntasks:\n  - task: trouble\n    fixed: {fixed}\n").trials[0]


def test_a_folder_that_this_machine_does_not_see_keeps_none(tmp_path: Path):
    (columns,) = ran([sphere()], str(tmp_path / "elsewhere" / "{}.safetensors"))
    assert columns["status"] == "ok" and not list(tmp_path.iterdir())


def test_a_stores_folder_may_have_any_name(tmp_path: Path):
    store = Store.create(tmp_path / "a {b} {} 100%")
    (columns,) = ran([sphere()], store.checkpoints())
    assert columns["status"] == "ok"
    assert [p.stem for p in (Path(str(store)) / "_checkpoints").iterdir()] == [sphere().trial_id]
    store.drop_checkpoints([sphere().trial_id, "never there"])
    assert not list((Path(str(store)) / "_checkpoints").iterdir())


def test_dropping_leaves_the_others(tmp_path: Path):
    store = Store.create(tmp_path / "store")
    for name in "ab":
        Path(store.checkpoints().format(name)).touch()
        Path(store.checkpoints().format(f"_tmp-{name}")).with_suffix(".safetensors-123").touch()
    store.drop_checkpoints(["a"])
    assert sorted(p.name for p in (Path(str(store)) / "_checkpoints").iterdir()) == [
        "_tmp-b.safetensors-123",
        "b.safetensors",
    ]


BY_HAND = Calibration(*[Cost(1e-4, 1e-12, 1e-9, 1e-5)] * 7, slowdown=1.0)


def run(asked: Sweep, store: Store, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Run it here; gives the ids whose checkpoints are there afterwards."""
    monkeypatch.setattr(run_module, "calibrated", lambda threads, say: BY_HAND)
    run_module.run(
        asked, store, None, inline=True, retry_failed=False, progress=Progress(Console(quiet=True))
    )
    return {p.stem for p in (Path(str(store)) / "_checkpoints").iterdir()}


def test_a_checkpoint_goes_when_its_trial_has_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = Store.create(tmp_path / "store")
    asked = sweep("seeds: [0]\ntasks:\n  - {task: trouble, grid: {how: [none, raise, nan]}}\n")
    for trial in asked.trials:
        Path(store.checkpoints().format(trial.trial_id)).touch()
    Path(store.checkpoints().format("f" * 16)).touch()
    assert run(asked, store, monkeypatch) == {"f" * 16}
    assert sorted(store.read().rows["failure_kind"].dropna()) == ["bug", "nan"]


def test_a_trial_that_ran_out_of_time_keeps_its_checkpoint_for_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = Store.create(tmp_path / "store")
    asked = sweep(
        "seeds: [0]\nlimits: {seconds_per_trial: 0.2}\ntasks:\n  - {task: trouble, fixed: {how:"
        " wait}}\n"
    )
    (trial,) = asked.trials
    Path(store.checkpoints().format(trial.trial_id)).touch()
    assert run(asked, store, monkeypatch) == {trial.trial_id}
    assert list(store.read().rows["failure_kind"]) == ["timeout"]
