"""Which trials run together: every one once, stacked where the calibration says that it pays,
longest first."""

import itertools
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.execution.run_batch import run_batch
from harness.planning import batches as batches_module
from harness.planning.batches import Planned, make_batches, stack_bytes, wall_seconds
from harness.planning.expected_epochs import MEASURED, SMALLEST, expected_epochs
from harness.planning.machine_speed import Calibration, Cost
from harness.planning.model_shape import Shape, shape_of
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.trial import Batch, RunSettings, Trial, canonical_json
from harness.task import Config

TINY_STEP = Cost(fixed=3e-4, per_flop=1e-11, per_number=2e-9, per_model=0.0)
LIKE_A_LAPTOP = Calibration(
    alone=TINY_STEP,
    stacked=Cost(4e-4, 1.2e-11, 4e-9, 3e-6),
    convolution_alone=Cost(5e-3, 0.0, 1e-6, 0.0),
    convolution_stacked=Cost(2e-3, 2e-11, 0.0, 4e-3),
    attention_alone=Cost(3e-3, 1e-11, 0.0, 0.0),
    attention_stacked=Cost(6e-3, 2e-11, 0.0, 2e-3),
    measuring=Cost(0.07, 1.4e-9, 1.3e-6, 5e-3),
    slowdown=1.1,
)
PADDING_IS_FREE = LIKE_A_LAPTOP._replace(
    stacked=Cost(3e-4, 0.0, 0.0, 0.0), convolution_stacked=Cost(5e-3, 0.0, 0.0, 0.0)
)
STACKING_IS_DEAR = LIKE_A_LAPTOP._replace(
    stacked=Cost(10.0, 1e-9, 1e-6, 1.0), convolution_stacked=Cost(10.0, 1e-9, 1e-6, 1.0)
)
MACHINES = {
    "like a laptop": LIKE_A_LAPTOP,
    "padding is free": PADDING_IS_FREE,
    "stacking is dear": STACKING_IS_DEAR,
}

TOYS = '''
"""Tasks whose models do what a plan must cope with."""

import torch
from torch import nn

from harness.noise import flip_labels
from harness.task import Config, Data, Field, Seeds, Size, Task

MADE = []


class ToyConfig(Config):
    kind: str = Field(default="plain", description="what the model is like")
    scale: float = Field(default=1.0, description="of the inputs")
    start: float = Field(default=1.0, description="scale of the first weights")
    width: int = Size(4, description="units")
    other: int = Size(4, description="units of the second layer")
    parts: int = Size(1, description="weights in a list")


class Listed(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.weights = nn.ParameterList([torch.zeros(4) for _ in range(config.parts)])

    def forward(self, x):
        return sum((x @ w for w in self.weights), torch.zeros(()))[:, None]


class Toy(Task):
    name = "toy"
    Config = ToyConfig

    def input_shape(self, config):
        return (4,)

    def data(self, config, seeds):
        MADE.append(seeds.seed)
        x = config.scale * torch.randn(config.n + 8, 4, generator=seeds.generator("data"))
        y, noise = flip_labels(x[:, 0].sign(), 0.2, seeds.generator("noise"))
        return Data(x[8:], y[8:], x[:8], x[:8, 0].sign(), noise)

    def model(self, config):
        if config.kind == "broken":
            raise RuntimeError("no such model")
        if config.kind == "exits":
            raise SystemExit("enough")
        if config.kind == "listed":
            return Listed(config)
        first = [nn.Linear(4, config.width), nn.ReLU()]
        second = [nn.Linear(config.width, config.other), nn.ReLU()]
        return nn.Sequential(*first, *second, nn.Linear(config.other, 1))
'''
TOY = TaskRef("toy", "toys.py", TOYS)
SPHERE, MNIST = TaskRef("sphere"), TaskRef("mnist")


def trials(ref: TaskRef, seeds: Sequence[int] = (0,), **fields: Any) -> list[Trial]:
    """A grid: every field that is a list takes each of its values."""
    grid = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    cells = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    made = [load(ref).Config.model_validate(cell).plain() for cell in cells]
    return [
        Trial(f"{ref.name} {seed} {canonical_json(config)}", ref, config, seed)
        for config in made
        for seed in seeds
    ]


def mnist(**fields: Any) -> list[Trial]:
    return trials(MNIST, **{"label_flip": 0.2, **fields})


def planned(
    made: Sequence[Trial], machine: Calibration = LIKE_A_LAPTOP, points: int = 256, **limits: float
) -> list[Planned]:
    return make_batches(made, machine, points, **{"seconds_per_trial": 600.0, **limits})


def stacks(plan: Sequence[Planned]) -> list[tuple[Trial, ...]]:
    return [stack for p in plan for stack in p.batch.stacks]


def seconds_alone(trial: Trial, machine: Calibration, points: int = 256) -> float:
    (plan,) = planned([trial], machine, points)
    return plan.seconds


def shape(trial: Trial) -> Shape:
    return shape_of(trial.ref, trial.load_config())


WIDTHS = [4, 16, 64, 256, 1024]
SWEEPS: dict[str, Callable[[], list[Trial]]] = {
    "one trial": lambda: trials(SPHERE),
    "widths": lambda: trials(SPHERE, width=WIDTHS, seeds=range(3)),
    "widths and depths": lambda: trials(SPHERE, width=WIDTHS, depth=[1, 2, 3], seeds=range(2)),
    "n and d": lambda: trials(SPHERE, n=[64, 256], d=[4, 16], width=WIDTHS, seeds=range(2)),
    "learning rates": lambda: trials(SPHERE, lr=[1e-3, 1e-2], width=WIDTHS, seeds=range(2)),
    "stop rules": lambda: trials(
        SPHERE, stop=["noise", "interpolate", "epochs"], max_epochs=[5, 50], width=[8, 32]
    ),
    "mlps and cnns": (
        lambda: (
            mnist(width=WIDTHS, seeds=range(2))
            + mnist(model="cnn", capacity=[1, 2, 4], seeds=range(2))
        )
    ),
    "heads": (
        lambda: (
            mnist(width=[8, 64]) + trials(MNIST, head="digits", label_resample=0.2, width=[8, 64])
        )
    ),
    "two sizes": lambda: trials(TOY, width=[4, 8, 64], other=[4, 8, 64], seeds=range(2)),
    "many small ones": lambda: trials(SPHERE, n=32, width=[4, 5, 6, 7, 8], seeds=range(40)),
    "with broken ones": lambda: trials(
        TOY, kind=["plain", "broken", "exits"], width=[4, 8], seeds=range(2)
    ),
    "lists of weights": lambda: trials(TOY, kind="listed", parts=[1, 2, 3], seeds=range(2)),
    "everything": (
        lambda: (
            SWEEPS["widths and depths"]() + SWEEPS["mlps and cnns"]() + SWEEPS["with broken ones"]()
        )
    ),
}


def over(values: dict[str, Any], name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, values.values(), ids=values.keys())


@over(SWEEPS, "sweep")
@over(MACHINES, "machine")
class TestEveryPlan:
    @pytest.fixture
    def made(self, sweep: Callable[[], list[Trial]]) -> list[Trial]:
        return sweep()

    def test_every_trial_is_in_one_batch(self, made: list[Trial], machine: Calibration):
        assert Counter(
            t.trial_id for p in planned(made, machine) for t in p.batch.trials
        ) == Counter(t.trial_id for t in made)

    def test_the_same_trials_give_the_same_batches(self, made: list[Trial], machine: Calibration):
        assert planned(made, machine) == planned(list(made), machine)

    def test_the_longest_batch_is_first(self, made: list[Trial], machine: Calibration):
        seconds = [p.seconds for p in planned(made, machine)]
        assert seconds == sorted(seconds, reverse=True) and min(seconds) >= 0

    def test_a_stack_holds_one_family_and_one_number_of_samples(
        self, made: list[Trial], machine: Calibration
    ):
        for stack in stacks(planned(made, machine)):
            if len(stack) > 1:
                alike = {
                    (
                        t.ref,
                        shape(t).family,
                        shape(t).input_shape,
                        shape(t).outputs,
                        t.config["n"],
                        t.config["batch_size"],
                    )
                    for t in stack
                }
                assert len(alike) == 1

    def test_a_stacks_rows_are_a_rectangle(self, made: list[Trial], machine: Calibration):
        for stack in stacks(planned(made, machine)):
            if len(stack) > 1:
                rows = [list(row) for _, row in itertools.groupby(stack, key=row_of)]
                assert len({tuple(shape(t).sizes for t in row) for row in rows}) == 1, (
                    "every row has the same sizes in the same order"
                )
                assert len({row_of(row[0]) for row in rows}) == len(rows), "a row lies together"

    def test_a_batch_is_never_dearer_than_its_trials_alone(
        self, made: list[Trial], machine: Calibration
    ):
        for p in planned(made, machine):
            if p.seconds:
                assert p.seconds <= sum(seconds_alone(t, machine) for t in p.batch.trials) * (
                    1 + 1e-9
                )

    def test_a_model_of_a_stack_fits_into_the_largest(
        self, made: list[Trial], machine: Calibration
    ):
        for stack in stacks(planned(made, machine)):
            if len(stack) > 1:
                largest = max((shape(t) for t in stack), key=lambda s: s.p)
                for t in stack:
                    pairs = zip(shape(t).sizes, largest.sizes, strict=True)
                    assert all(
                        a <= b for mine, its in pairs for a, b in zip(mine, its, strict=True)
                    )


def row_of(trial: Trial) -> tuple[Any, ...]:
    """What the trials of a row share: the samples, their order, the learning rate."""
    free = {"width", "capacity", "other", "parts", "stop", "max_epochs"}
    return trial.seed, canonical_json({k: v for k, v in trial.config.items() if k not in free})


def test_nothing_to_run_is_no_batch():
    assert planned([]) == [] and wall_seconds([], 4, 1.5) == 0.0


def test_a_broken_model_is_a_batch_of_its_own_at_the_end():
    plan = planned(trials(TOY, kind=["broken", "plain", "exits"], width=[4, 8]))
    broken = [p for p in plan if p.batch.trials[0].config["kind"] != "plain"]
    assert [len(p.batch.trials) for p in broken] == [1] * 4 and [p.seconds for p in broken] == [
        0.0
    ] * 4
    assert plan[-4:] == broken


ADVERSARIES = [
    {},
    {"adversary": "fgsm", "adversary_radius": 0.1},
    {"adversary": "fgsm", "adversary_radius": 0.2},
    {"adversary": "pgd", "adversary_radius": 0.1, "adversary_steps": 5},
    {"adversary": "pgd", "adversary_radius": 0.1, "adversary_steps": 6},
]


def test_a_stack_has_one_adversary():
    kinds = [
        mnist(width=[4, 8], stop="epochs", max_epochs=3, seeds=range(2), **kind)
        for kind in ADVERSARIES
    ]
    found = stacks(planned(list(itertools.chain(*kinds)), PADDING_IS_FREE, 0))
    assert sorted(sorted(t.trial_id for t in stack) for stack in found) == sorted(
        sorted(t.trial_id for t in kind) for kind in kinds
    )


def test_an_adversarys_passes_take_their_time():
    """By hand: a pass costs the step's fixed part, its own FLOPs and its activations, and no
    optimiser."""
    step = Cost(fixed=1e-3, per_flop=1e-9, per_number=1e-6, per_model=0.0, per_byte=1e-9)
    machine = LIKE_A_LAPTOP._replace(alone=step, stacked=step)
    natural, *others = (
        mnist(n=640, width=8, stop="epochs", max_epochs=3, **kind) for kind in ADVERSARIES
    )
    before = seconds_alone(natural[0], machine, 0)
    for (trial,), passes in zip(others, (1, 1, 5, 6), strict=True):
        one = shape(trial)
        assert (
            one.pass_flops_per_sample == 4 * 8 * (784 + 1)
            and one.flops_per_sample == 4 * 784 * 8 + 6 * 8
        )
        a_pass = 1e-3 + 64 * 1e-9 * (one.pass_flops_per_sample + one.saved_bytes_per_sample)
        assert seconds_alone(trial, machine, 0) - before == pytest.approx(3 * 10 * passes * a_pass)


def test_a_narrow_net_is_not_padded_to_a_wide_one_where_that_costs_more():
    made = mnist(width=[4, 1024], n=4000, stop="epochs", max_epochs=20, seeds=range(4))
    assert all(len({t.config["width"] for t in stack}) == 1 for stack in stacks(planned(made)))


def test_neighbouring_widths_share_a_stack_where_that_pays():
    made = mnist(width=[4, 5, 6, 1000, 1024], stop="epochs", max_epochs=3, seeds=range(2))
    together = {frozenset(t.config["width"] for t in stack) for stack in stacks(planned(made))}
    assert frozenset({4, 5, 6}) in together
    assert not any({6, 1000} <= widths for widths in together)


def test_all_widths_share_a_stack_where_padding_is_free():
    made = trials(SPHERE, width=WIDTHS, stop="epochs", max_epochs=3, seeds=range(2))
    assert [len(stack) for stack in stacks(planned(made, PADDING_IS_FREE, 0))] == [10]


def test_nothing_is_stacked_where_that_is_dear():
    made = SWEEPS["everything"]()
    assert all(len(stack) == 1 for stack in stacks(planned(made, STACKING_IS_DEAR)))


def test_sizes_of_which_neither_holds_the_other_are_not_padded_to_one_another():
    made = trials(TOY, width=[4, 64], other=[4, 64])
    for stack in stacks(planned(made, PADDING_IS_FREE)):
        sizes = {(t.config["width"], t.config["other"]) for t in stack}
        assert not {(4, 64), (64, 4)} <= sizes


def test_equal_trials_alone_are_each_as_dear():
    made = trials(SPHERE, seeds=range(5))
    assert len({seconds_alone(t, LIKE_A_LAPTOP) for t in made}) == 1


KNOWN = Calibration(
    *[Cost(1.0, 0.0, 0.0, 0.0)] * 6, measuring=Cost(0.0, 0.0, 0.0, 0.0), slowdown=1.0
)
"""A second for every step, whatever is in it."""


def test_seconds_alone_by_hand():
    (trial,) = trials(SPHERE, n=100, batch_size=30, stop="epochs", max_epochs=7)
    assert seconds_alone(trial, KNOWN) == pytest.approx(4 * 7, abs=0.01), "four steps an epoch"
    (trial,) = trials(SPHERE, n=100, batch_size=1000, stop="epochs", max_epochs=7)
    assert seconds_alone(trial, KNOWN) == pytest.approx(7, abs=0.01)


def test_a_stack_costs_its_longest_trials_steps_where_models_cost_nothing(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(batches_module, "BATCH_S", (1e6, 1e6))
    made = trials(SPHERE, n=64, stop="epochs", max_epochs=[2, 5], width=[8, 9])
    (plan,) = planned([*made, *trials(SPHERE, n=64, stop="epochs", max_epochs=20, width=8)], KNOWN)
    assert [len(stack) for stack in plan.batch.stacks] == [5]
    assert plan.seconds == pytest.approx(20, abs=0.02)


def test_what_a_model_costs_is_paid_for_its_own_epochs():
    machine = KNOWN._replace(alone=Cost(3.0, 0, 0, 0), stacked=Cost(1.0, 0, 0, 0.25))
    (plan,) = planned(trials(SPHERE, n=64, stop="epochs", max_epochs=[2, 6], width=8), machine)
    assert plan.seconds == pytest.approx(6 * 1.0 + 0.25 * (2 + 6), abs=0.02)


def test_measuring_is_paid_for_unless_nothing_is_measured():
    machine = KNOWN._replace(measuring=Cost(50.0, 0, 0, 0))
    (trial,) = trials(SPHERE, n=64, stop="epochs", max_epochs=7)
    assert seconds_alone(trial, machine, points=256) == pytest.approx(57, abs=0.01)
    assert seconds_alone(trial, machine, points=0) == pytest.approx(7, abs=0.01)


def test_convolutions_cost_what_convolutions_cost():
    machine = KNOWN._replace(convolution_alone=Cost(4.0, 0, 0, 0))
    cnn, mlp = (mnist(n=64, stop="epochs", max_epochs=7, model=model) for model in ("cnn", "mlp"))
    assert seconds_alone(cnn[0], machine) == pytest.approx(28, abs=0.01)
    assert seconds_alone(mlp[0], machine) == pytest.approx(7, abs=0.01)


def text(**fixed: Any) -> Trial:
    config = load(TaskRef("text")).Config.model_validate({"target_resample": 0.2, **fixed})
    return Trial("0" * 16, TaskRef("text"), config.plain(), 0)  # no corpus is read to plan


def test_attention_costs_what_attention_costs():
    machine = KNOWN._replace(attention_alone=Cost(4.0, 0, 0, 0))
    assert seconds_alone(
        text(n=64, stop="epochs", max_epochs=7, width=8), machine, points=0
    ) == pytest.approx(28, abs=0.01)


def test_measuring_a_vocabulary_costs_training_steps_on_its_points():
    machine = KNOWN._replace(attention_alone=Cost(0, 1e-12, 0, 0), measuring=Cost(1e9, 0, 0, 0))
    small, large = (text(n=64, stop="epochs", max_epochs=1, width=width) for width in (8, 64))
    flops = [shape_of(TaskRef("text"), t.load_config()).flops_per_sample for t in (small, large)]
    for trial, each in zip((small, large), flops, strict=True):
        measuring = seconds_alone(trial, machine, points=100) - seconds_alone(
            trial, machine, points=0
        )
        assert measuring == pytest.approx(batches_module.VOCABULARY_STEPS * 100 * each * 1e-12)


@pytest.mark.parametrize(
    ("stop", "expected"),
    [("noise", 4.3 * 1000**0.77 * 0.1**-0.21), ("interpolate", 39.0 * 1000**0.46 * 0.1**-0.42)],
)
def test_epochs_of_a_vocabulary_have_exponents_of_their_own(stop: str, expected: float):
    of_text = shape_of(
        TaskRef("text"), text(n=64, stop="epochs", max_epochs=1, width=8).load_config()
    )
    config = load(TaskRef("text")).Config.model_validate(
        {"n": 1000, "target_resample": 0.2, "stop": stop, "batch_size": 50, "max_epochs": 10**6}
    )
    assert expected_epochs(config, of_text._replace(p=25_600)) == pytest.approx(expected / 20)
    assert expected_epochs(config, of_text._replace(p=3_999)) == 10**6, (
        "fewer than four parameters per window: to the cap"
    )


@pytest.mark.parametrize("cap", [10**6, 3 * 10**6, 10**7])
def test_a_stack_takes_no_more_memory_than_it_may(cap: int, monkeypatch: pytest.MonkeyPatch):
    made = trials(SPHERE, width=[8, 9, 10, 512], seeds=range(20), stop="epochs", max_epochs=3)
    monkeypatch.setattr(batches_module, "STACK_BYTES", cap)
    monkeypatch.setattr(batches_module, "BATCH_S", (1e6, 1e6))
    assert_within(cap, stacks(planned(made, PADDING_IS_FREE)))


def test_a_stack_takes_no_more_than_half_of_what_its_worker_has_left(
    monkeypatch: pytest.MonkeyPatch,
):
    made = trials(SPHERE, width=[8, 9, 10, 512], seeds=range(20), stop="epochs", max_epochs=3)
    monkeypatch.setattr(batches_module, "BATCH_S", (1e6, 1e6))
    room = 10**6
    plan = planned(made, PADDING_IS_FREE, memory_bytes=batches_module.PROCESS_BYTES + 2 * room)
    assert_within(room, stacks(plan))
    crowded = planned(made, PADDING_IS_FREE, memory_bytes=1)
    assert all(len(stack) == 1 for stack in stacks(crowded)) and len(stacks(crowded)) == len(made)


def assert_within(cap: int, found: list[tuple[Trial, ...]]) -> None:
    shared = [stack for stack in found if len(stack) > 1]
    assert len(shared) > 1
    for stack in shared:
        rows = len({row_of(t) for t in stack})
        assert stack_bytes([(t.load_config(), shape(t)) for t in stack], rows) <= cap


def test_a_stack_holds_no_more_models_than_it_may(monkeypatch: pytest.MonkeyPatch):
    made = trials(SPHERE, width=[8, 9, 10], seeds=range(30), stop="epochs", max_epochs=1)
    monkeypatch.setattr(batches_module, "STACK_TRIALS", 16)
    monkeypatch.setattr(batches_module, "BATCH_S", (1e6, 1e6))
    assert 3 <= max(len(stack) for stack in stacks(planned(made, PADDING_IS_FREE))) <= 16


def test_stack_bytes_by_hand():
    config = load(SPHERE).Config.model_validate({"n": 100, "d": 16, "batch_size": 20})
    one = about(10)._replace(p_frozen=2, input_shape=(16,), saved_bytes_per_sample=7)
    two = one._replace(p=20, p_frozen=0, saved_bytes_per_sample=9)
    # float32; weights, gradients, two moments; two models padded to the larger
    weights = 4 * 4 * 2 * 20
    assert (
        stack_bytes([(config, one), (config, two)], rows=1) == weights + 9 * 200 + 3 * 4 * 100 * 16
    )
    assert (
        stack_bytes([(config, one), (config, two)], rows=2)
        == weights + 9 * 100 + 2 * 3 * 4 * 100 * 16
    )
    moved = config.model_copy(update={"adversary": "fgsm", "adversary_radius": 0.1})
    assert (
        stack_bytes([(moved, one), (moved, two)], rows=1)
        == weights + 9 * 200 + 3 * 4 * 100 * 16 + 5 * 4 * 2 * 20 * 16
    )


def test_a_batch_of_several_is_planned_to_leave_its_time_limit_alone():
    made = trials(SPHERE, n=256, width=[8, 9], stop="epochs", max_epochs=50, seeds=range(60))
    machine = KNOWN._replace(alone=Cost(1e-3, 0, 0, 0), stacked=Cost(1e-3, 0, 0, 1e-4))
    hasty, patient = (planned(made, machine, seconds_per_trial=limit) for limit in (0.8, 4000.0))
    assert len(hasty) > len(patient) > 1
    assert max(p.seconds for p in hasty) < 0.8 / 2


def test_small_trials_are_put_together_until_they_are_worth_a_workers_while():
    made = trials(SPHERE, n=[16 + k for k in range(60)], width=4, stop="epochs", max_epochs=1)
    plan = planned(made, STACKING_IS_DEAR, points=0)
    assert len(plan) == 1 and len(plan[0].batch.stacks) == 60
    assert plan[0].seconds == pytest.approx(
        sum(seconds_alone(t, STACKING_IS_DEAR, 0) for t in made)
    )


def test_a_long_trial_waits_for_nobody():
    (long,) = trials(SPHERE, n=4096, stop="epochs", max_epochs=500)
    made = [*trials(SPHERE, n=[16, 17, 18], width=4, stop="epochs", max_epochs=1), long]
    assert planned(made)[0].batch == Batch(((long,),))


CHANGES = {
    "seeds": (dict(seeds=(0, 1)), 2),
    "learning rates": (dict(lr=[1e-3, 2e-3, 3e-3]), 1),
    "stop rules": (dict(stop=["noise", "interpolate", "epochs"]), 1),
    "caps": (dict(max_epochs=[2, 3]), 1),
    "learning rates and caps": (dict(lr=[1e-3, 2e-3], max_epochs=[2, 3]), 1),
    "widths": (dict(width=[4, 5]), 1),
    "what no data depend on": (dict(start=[1.0, 2.0]), 1),
    "data": (dict(scale=[1.0, 2.0]), 2),
    "both": (dict(scale=[1.0, 2.0], lr=[1e-3, 2e-3], seeds=(0, 1)), 4),
}


@over(CHANGES, "case")
def test_trials_that_differ_in_how_they_train_share_a_stack_and_its_data(
    case: tuple[dict[str, Any], int],
):
    fields, data_sets = case
    made = trials(TOY, **{"n": 16, "max_epochs": 3, "batch_size": 8, **fields})
    (plan,) = planned(made, PADDING_IS_FREE)
    assert [len(stack) for stack in plan.batch.stacks] == [len(made)]
    seen: list[int] = sys.modules[type(load(TOY)).__module__].__dict__["MADE"]
    begin = next(FRESH_SEEDS)
    fresh = Batch(
        (tuple(Trial(t.trial_id, t.ref, t.config, begin + t.seed) for t in plan.batch.trials),)
    )
    seen.clear()
    results = run_batch(
        fresh,
        RunSettings(
            cpus=1, gpus=0, seconds=60, weights_bytes=0, measure_points=0, checkpoints=None
        ),
    )
    columns = [result.columns for result in results]
    assert [c["status"] for c in columns] == ["ok"] * len(made)
    assert len(seen) == data_sets == len({c["data_hash"] for c in columns})
    assert {c["stack_size"] for c in columns} == {len(made)}


FRESH_SEEDS = itertools.count(1000, 1000)
"""Seeds that this process has made no data for."""


def test_as_stacked_so_alone():
    made = trials(
        TOY,
        n=16,
        batch_size=8,
        max_epochs=5,
        stop="epochs",
        width=[4, 6],
        lr=[1e-3, 1e-2],
        scale=[1.0, 2.0],
        seeds=(0, 1),
    )
    given = RunSettings(
        cpus=1, gpus=0, seconds=60, weights_bytes=10**6, measure_points=4, checkpoints=None
    )
    (plan,) = planned(made, PADDING_IS_FREE)
    together = dict(
        zip([t.trial_id for t in plan.batch.trials], run_batch(plan.batch, given), strict=True)
    )
    for trial in made:
        (result,) = run_batch(Batch(((trial,),)), given)
        alone, mine = result.columns, together[trial.trial_id].columns
        assert (mine["stack_size"], alone["stack_size"]) == (16, 1) and mine.keys() == alone.keys()
        for name in (
            "status",
            "p",
            "n",
            "epochs",
            "steps",
            "stop_reason",
            "data_hash",
            "flops",
            "train_error",
        ):
            assert mine[name] == alone[name], name
        for name in ("train_loss", "test_loss", "stability_attack_mean", "lip_lower_grad"):
            assert mine[name] == pytest.approx(alone[name], rel=1e-4), name


def batch(*stacks: str) -> Batch:
    """Trials named by single letters."""
    return Batch(tuple(tuple(Trial(name, TOY, {}, 0) for name in stack) for stack in stacks))


def names(batch: Batch) -> list[str]:
    return ["".join(t.trial_id for t in stack) for stack in batch.stacks]


HALVES = {
    "two of a stack": (["ab"], ["a"], ["b"]),
    "three of a stack": (["abc"], ["a"], ["bc"]),
    "five of a stack": (["abcde"], ["ab"], ["cde"]),
    "two stacks": (["ab", "c"], ["ab"], ["c"]),
    "three stacks": (["abc", "d", "ef"], ["abc"], ["d", "ef"]),
    "four stacks of one": (["a", "b", "c", "d"], ["a", "b"], ["c", "d"]),
}


@over(HALVES, "case")
def test_halves(case: tuple[list[str], list[str], list[str]]):
    whole, first, second = case
    assert [names(half) for half in batch(*whole).halves()] == [first, second]


def test_one_trial_has_no_halves():
    with pytest.raises(ValueError, match="no halves"):
        batch("a").halves()


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ("abcdef", ["abc", "d", "ef"]),
        ("bf", ["b", "f"]),
        ("d", ["d"]),
        ("ca", ["ac"]),
        ("", []),
        ("xyz", []),
    ],
)
def test_only_some(wanted: str, left: list[str]):
    assert names(batch("abc", "d", "ef").only(wanted)) == left


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) > 1))
def test_halving_ends_at_single_trials_and_loses_none(sizes: list[int]):
    letters = iter("abcdefghijklmnopqrst")
    whole = batch(*("".join(itertools.islice(letters, size)) for size in sizes))

    def leaves(part: Batch) -> Iterator[str]:
        if len(part.trials) == 1:
            yield part.trials[0].trial_id
            return
        for half in part.halves():
            assert half.trials
            yield from leaves(half)

    assert list(leaves(whole)) == [t.trial_id for t in whole.trials]


def lasting(*seconds: float) -> list[Planned]:
    return [Planned(Batch(()), s) for s in seconds]


@pytest.mark.parametrize(
    ("seconds", "slots", "slowdown", "expected"),
    [
        ([5.0], 1, 2.0, 5.0),
        ([5.0], 4, 2.0, 5.0),  # nobody else is busy
        ([3.0, 2.0, 1.0], 1, 2.0, 6.0),
        ([3.0, 2.0, 1.0], 2, 1.0, 3.0),
        ([3.0, 2.0, 1.0], 3, 1.0, 3.0),
        ([3.0, 2.0, 1.0], 9, 1.5, 4.5),
        ([4.0, 3.0, 3.0, 2.0], 2, 1.0, 6.0),
        ([2.0, 2.0, 2.0], 2, 1.25, 5.0),
        ([3.0, 3.0, 2.0, 2.0, 2.0], 2, 1.0, 7.0),  # greedy, not best
        ([1.0, 1.0], 0, 1.0, 2.0),
    ],
)
def test_schedules_by_hand(seconds: list[float], slots: int, slowdown: float, expected: float):
    assert wall_seconds(lasting(*seconds), slots, slowdown) == pytest.approx(expected)


SECONDS = st.lists(st.floats(0, 100), min_size=1, max_size=20)


@given(SECONDS, st.integers(1, 8), st.floats(1, 3))
def test_a_schedule_is_between_the_best_and_one_worker(
    seconds: list[float], slots: int, slowdown: float
):
    wall = wall_seconds(lasting(*sorted(seconds, reverse=True)), slots, slowdown)
    assert max(max(seconds), sum(seconds) / slots) <= wall * (1 + 1e-9) + 1e-9
    assert wall <= sum(seconds) * slowdown * (1 + 1e-9) + 1e-9


def about(p: int, outputs: int = 1) -> Shape:
    return Shape(
        p=p,
        p_frozen=0,
        input_shape=(4,),
        outputs=outputs,
        flops_per_sample=1,
        pass_flops_per_sample=0,
        saved_bytes_per_sample=1,
        sizes=(),
        family="",
    )


RULES = st.sampled_from(["noise", "interpolate", "epochs"])
CONFIGS = st.builds(
    Config,
    n=st.integers(2, 10**6),
    stop=RULES,
    max_epochs=st.integers(1, 10**5),
    batch_size=st.integers(1, 10**4),
)


@given(CONFIGS, st.integers(1, 10**9), st.integers(1, 10**9), st.sampled_from([1, 10]))
def test_a_forecast_is_from_one_to_the_cap_and_falls_with_size(
    config: Config, p: int, more: int, outputs: int
):
    small, large = (expected_epochs(config, about(size, outputs)) for size in (p, p + more))
    assert 1 <= large <= small <= config.max_epochs


@given(CONFIGS, st.integers(1, 10**9))
def test_with_stop_epochs_it_is_the_cap(config: Config, p: int):
    assert (
        expected_epochs(config.model_copy(update={"stop": "epochs"}), about(p)) == config.max_epochs
    )
    assert (
        expected_epochs(config.model_copy(update={"adversary": "fgsm"}), about(p))
        == config.max_epochs
    )


@pytest.mark.parametrize("stop", ["noise", "interpolate"])
def test_what_is_too_small_for_its_data_runs_to_its_cap(stop: str):
    config = Config.model_validate({"n": 1000, "stop": stop, "max_epochs": 10**6})
    limit = int(SMALLEST[stop] * 1000)
    assert expected_epochs(config, about(limit - 1)) == 10**6
    assert expected_epochs(config, about(limit)) < 10**4


@pytest.mark.parametrize("stop", ["noise", "interpolate"])
def test_a_forecast_by_hand(stop: str):
    config = Config.model_validate({"n": 256, "stop": stop, "max_epochs": 10**6, "batch_size": 64})
    a, b, c = MEASURED[stop]
    assert expected_epochs(config, about(1024)) == pytest.approx(a * 256**b * 4**c / 4)
    assert expected_epochs(
        config.model_copy(update={"batch_size": 32}), about(1024)
    ) == pytest.approx(a * 256**b * 4**c / 8)


COSTS = st.builds(
    Cost,
    st.floats(0, 1e-2),
    st.floats(0, 1e-10),
    st.floats(0, 1e-7),
    st.floats(0, 1e-2),
    st.floats(0, 1e-8),
)
GRID = st.fixed_dictionaries(
    {
        "width": st.lists(st.sampled_from([1, 4, 5, 64, 512]), min_size=1, max_size=4, unique=True),
        "depth": st.lists(st.sampled_from([1, 2]), min_size=1, max_size=2, unique=True),
        "n": st.lists(st.sampled_from([32, 128]), min_size=1, max_size=2, unique=True),
        "lr": st.lists(st.sampled_from([1e-3, 1e-2]), min_size=1, max_size=2, unique=True),
        "stop": st.lists(RULES, min_size=1, max_size=2, unique=True),
        "seeds": st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    fields=GRID,
    costs=st.lists(COSTS, min_size=7, max_size=7),
    points=st.sampled_from([0, 256]),
    drawn=st.data(),
)
def test_on_any_machine_every_trial_runs_once_and_no_batch_is_dearer_than_its_trials(
    fields: dict[str, Any], costs: list[Cost], points: int, drawn: st.DataObject
):
    grid = trials(SPHERE, **fields)
    some = drawn.draw(
        st.lists(st.sampled_from(grid), min_size=1, unique_by=lambda t: t.trial_id),
        label="some of the grid",
    )
    machine = Calibration(*costs, slowdown=1.0)
    plan = planned(some, machine, points)
    assert Counter(t.trial_id for p in plan for t in p.batch.trials) == Counter(
        t.trial_id for t in some
    )
    for p in plan:
        assert p.seconds <= sum(seconds_alone(t, machine, points) for t in p.batch.trials) * (
            1 + 1e-9
        )
    assert torch.tensor([p.seconds for p in plan]).isfinite().all()
