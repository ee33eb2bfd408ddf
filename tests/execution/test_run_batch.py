"""One trial in this process: its columns, what decides them, and every failure as a row that
says what happened.

Run alone: python -m pytest tests/execution/test_run_batch.py
"""

import itertools
import math
import re
import signal
import subprocess
import sys
from typing import Any, NamedTuple

import pytest
import safetensors.torch
import torch

from harness.execution.run_batch import run_batch
from harness.store.schema import arrow_schema
from harness.sweeps.registry import load, load_samples, refs_in
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings, Trial
from harness.task import Seeds
from tests import FAILING_TASK

POINTS = 4
"""Where sensitivity is measured, which takes longer than such small trials: fewer points than any
task holds out."""

NOT_MEASURED = {"wall_s", "train_s", "measure_s", "measure_share", "peak_bytes", "started_at"}


def trial(task: str, seed: int = 0, **fixed: Any) -> Trial:
    text = f"name: a\nseeds: [{seed}]\ntasks:\n  - task: {task}\n    fixed: {fixed}\n"
    return parse_sweep(text, "sweep.yaml", refs_in(FAILING_TASK)).trials[0]


def settings(
    seconds: float = 60, weights_bytes: int = 10**6, measure_points: int = 0
) -> RunSettings:
    return RunSettings(1, 0, seconds, weights_bytes, measure_points, checkpoints=None)


def run(
    made: Trial, seconds: float = 60, weights_bytes: int = 10**6, measure_points: int = 0
) -> dict[str, Any]:
    """The columns of a trial that is alone in its batch, and its weights under their own name."""
    batch = Batch(((made,),))
    (result,) = run_batch(batch, settings(seconds, weights_bytes, measure_points))
    return result.columns | {"weights": result.weights}


FAILURES = {
    "raise": ("bug", "LookupError: the cat sat on it (failing_task.py:"),
    "long-message": ("bug", "ValueError: word word"),
    "exit": ("bug", "SystemExit: enough (failing_task.py:"),
    "nan": ("nan", "the training loss is inf after epoch 1"),
    "memory": ("oom", "400000000000000 bytes"),
    "wait": ("timeout", "took longer than the limit of 0.5 s"),
    "swallow": ("timeout", "took longer than the limit of 0.5 s"),
    "short-inputs": ("bug", "data() gave inputs (15, 4); with n = 16 they must be (16, 4)"),
    "surrogate": ("bug", "half a character: ?"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("how", "expected"), FAILURES.items(), ids=FAILURES.keys())
def test_failures_are_columns(how: str, expected: tuple[str, str]):
    columns = run(trial("trouble", how=how), seconds=0.5 if expected[0] == "timeout" else 60)
    assert (columns["status"], columns["failure_kind"]) == ("failed", expected[0])
    assert expected[1] in columns["failure_message"]
    assert len(columns["failure_message"]) <= 2000
    assert columns["weights"] is None
    assert columns["torch_version"] == torch.__version__
    assert columns["wall_s"] > 0


def test_the_line_of_a_task_file_is_named():
    message = run(trial("trouble", how="raise"))["failure_message"]
    (line,) = re.findall(r"\(failing_task\.py:(\d+)\)", message)
    assert "the cat sat on it" in FAILING_TASK.read_text().splitlines()[int(line) - 1]


@pytest.mark.slow
@pytest.mark.parametrize("stacked", [False, True], ids=["apart", "stacked"])
def test_a_neighbour_in_the_batch_is_not_harmed(stacked: bool):
    trials = (
        trial("trouble", how="raise"),
        trial("trouble"),
        trial("trouble", how="nan"),
        trial("trouble", seed=1),
    )
    stacks = (trials,) if stacked else tuple((t,) for t in trials)
    results = run_batch(Batch(stacks), settings())
    columns = [result.columns for result in results]
    assert [result.failure_kind for result in results] == ["bug", None, "nan", None]
    assert [(columns[i]["stack_size"], columns[i]["stack_note"]) for i in (1, 3)] == [
        (3 if stacked else 1, None)
    ] * 2
    assert FAILURES["raise"][1] in columns[0]["failure_message"]
    assert FAILURES["nan"][1] in columns[2]["failure_message"]
    assert columns[1]["train_loss"] == pytest.approx(run(trials[1])["train_loss"], rel=1e-4)


@pytest.mark.slow
def test_the_time_limit_is_taken_down_again():
    before = signal.getsignal(signal.SIGALRM)
    run(trial("trouble", how="wait"), seconds=0.2)
    run(trial("trouble"), seconds=60)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


FRESH = """
import sys
from pathlib import Path
import harness.execution.limits as limits
from harness.execution.run_batch import run_batch
from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings

text = "name: a\\nseeds: [0]\\ntasks: [{task: %s, fixed: %s}]"
fixed = "{n: 32, d: 4, width: 8, stop: epochs, max_epochs: 2}"
trials = parse_sweep(text % ("sphere", fixed), "sweep.yaml").trials
before = set(sys.modules)
result, = run_batch(Batch((trials,)), RunSettings(1, 0.0, 600.0, 1_000_000, 8, None))
assert result.failure_kind is None, result.columns
new = set(sys.modules) - before
print(*sorted(name for name in new if name.split(".")[0] in ("torch", "sympy")), flush=True)

limits.STUCK_S = 0.5
trouble = refs_in(Path(sys.argv[1]))
trials = parse_sweep(text % ("trouble", "{how: hang}"), "sweep.yaml", trouble).trials
run_batch(Batch((trials,)), RunSettings(1, 0, 0.5, 0, 256, None))
"""
"""A process whose first trial is a net's, and whose second one does not hear its limit. One process
for both, which spares the second its imports."""


class Fresh(NamedTuple):
    """What was seen of FRESH until it was ended."""

    loaded: str
    """The modules of torch and sympy that the first trial loaded."""
    stuck: list[str]
    """The lines that the second one wrote to standard error, up to run_batch."""
    ended_by_itself: bool


@pytest.fixture(scope="module")
def fresh() -> Fresh:
    command = [sys.executable, "-c", FRESH, str(FAILING_TASK)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        try:
            loaded = process.stdout.readline()
            stuck = list(itertools.takewhile(lambda line: "run_batch" not in line, process.stderr))
            return Fresh(loaded, stuck, process.poll() is not None)
        finally:
            process.kill()


@pytest.mark.slow
def test_torch_loads_nothing_more_of_itself_to_train_an_mlp(fresh: Fresh):
    """An import that the time limit interrupts leaves modules half loaded: every later trial of
    the process would be a bug."""
    assert fresh.loaded == "\n", fresh.stuck


@pytest.mark.slow
def test_a_trial_that_cannot_hear_its_limit_says_where_it_is_stuck(fresh: Fresh):
    assert fresh.stuck[0].startswith("Timeout")
    assert any("failing_task.py" in line for line in fresh.stuck)
    assert not fresh.ended_by_itself, "whether to end it is for others to say"


SMALL = [
    ("trouble", {}),
    ("sphere", {"n": 32, "d": 5, "width": 8, "max_epochs": 5}),
    (
        "sphere",
        {"n": 32, "d": 5, "noise": 0.5, "width": 8, "max_epochs": 5, "stop": "interpolate"},
    ),
    ("mnist", {"n": 30, "label_flip": 0.2, "width": 4, "max_epochs": 3}),
    ("mnist", {"n": 30, "head": "digits", "label_resample": 0.3, "width": 4, "max_epochs": 3}),
]
CNN = ("mnist", {"n": 30, "label_flip": 0.2, "model": "cnn", "max_epochs": 2})


Asked = tuple[str, dict[str, Any]]
"""A task's name and what is fixed of its configuration."""


@pytest.fixture(scope="module", params=[*SMALL, CNN], ids=lambda p: f"{p[0]}-{len(p[1])}")
def asked(request: pytest.FixtureRequest) -> Asked:
    return request.param


@pytest.fixture(scope="module")
def done(asked: Asked) -> tuple[Trial, dict[str, Any]]:
    """The trial with seed 0, and its columns."""
    task, fixed = asked
    made = trial(task, **fixed)
    return made, run(made, measure_points=POINTS)


@pytest.mark.slow
def test_same_seed_same_columns_bit_for_bit(asked: Asked, done: tuple[Trial, dict[str, Any]]):
    made, first = done
    assert first["status"] == "ok", first.get("failure_message")
    again = run(made, measure_points=POINTS)
    # repr: NaN equals NaN
    one, two = (
        {k: repr(v) for k, v in columns.items() if k not in NOT_MEASURED}
        for columns in (first, again)
    )
    assert one == two

    task, fixed = asked
    other = run(trial(task, seed=1, **fixed))
    for column in ("weights", "data_hash", "train_loss"):
        assert first[column] != other[column], column


@pytest.mark.slow
def test_columns_are_in_the_schema(done: tuple[Trial, dict[str, Any]]):
    assert set(done[1]) - {"weights"} <= set(arrow_schema().names)


@pytest.mark.slow
def test_columns_agree_with_each_other(done: tuple[Trial, dict[str, Any]]):
    made, c = done
    task, config = load_samples(made.ref), made.load_config()
    data = task.data(config, Seeds(made.seed))
    assert c["n"] == c["tokens_distinct"] == config.n == len(data.x_train)
    assert c["d_ambient"] == data.x_train[0].numel()
    assert c["tokens_seen"] == c["n"] * c["epochs"]
    assert c["steps"] == c["epochs"] * math.ceil(c["n"] / min(64, c["n"]))
    assert c["params_per_token"] == c["p"] / c["n"]
    assert c["p"] == sum(p.numel() for p in task.model(config).parameters())
    assert c["p"] == sum(g["trainable"] for g in c["params_by_group"])
    assert c["data_hash"] == data.content_hash()
    assert c["epsilon"] == data.noise.level / 2 > 0
    reached = c["train_error"] if data.classes else c["train_loss"]
    assert c["below_noise"] == (reached <= data.noise.level / 2)
    assert c["test_n"] == len(data.x_test)
    assert c["measure_points"] == POINTS
    assert c["data_unit"] == data.unit()
    assert c["stability_attack_mean_l2"] == c["stability_attack_mean"] * c["data_unit"]
    assert 0 <= c["stability_attack_mean"] <= c["stability_cap"] == 1.0
    assert c["lip_mean_grad"] <= c["lip_lower_grad"] <= c["lip_lower_grad_ambient"]
    assert c["isoperimetry"] == ("proved" if made.ref.name == "sphere" else "assumed")
    assert c["test_accuracy_se"] == pytest.approx(
        math.sqrt(c["test_accuracy"] * (1 - c["test_accuracy"]) / c["test_n"])
    )


@pytest.mark.slow
def test_weights_are_the_final_weights(done: tuple[Trial, dict[str, Any]]):
    made, c = done
    task, config = load_samples(made.ref), made.load_config()
    weights = safetensors.torch.load(c["weights"])
    assert sum(t.numel() for t in weights.values()) == c["p"] + c["p_frozen"]
    model = task.model(config)
    model.load_state_dict(weights)
    data = task.data(config, Seeds(made.seed))
    output = model.eval()(data.x_train).detach()
    if data.classes is None:
        assert float((output[:, 0] - data.y_train).square().mean()) == pytest.approx(
            c["train_loss"], rel=1e-5
        )
    else:
        assert float((output.argmax(1) != data.y_train).float().mean()) == pytest.approx(
            c["train_error"]
        )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_initial_weights_come_from_the_init_stream(seed: int):
    made = trial("trouble", seed, lr=1e-30)  # a step that moves no weight
    before = torch.random.get_rng_state()
    weights = safetensors.torch.load(run(made)["weights"])
    assert torch.equal(torch.random.get_rng_state(), before), (
        "the process's own generator is left alone"
    )
    with torch.random.fork_rng():
        torch.manual_seed(Seeds(seed).stream("init"))
        model = load(made.ref).model(made.load_config())
    for name, tensor in model.state_dict().items():
        assert torch.equal(weights[name], tensor), name


@pytest.mark.slow
def test_weights_above_the_limit_are_not_kept():
    made = trial("trouble", width=100)  # 601 parameters of 4 bytes
    assert run(made, weights_bytes=2403)["weights"] is None
    assert run(made, weights_bytes=2404)["weights"] is not None


@pytest.mark.slow
def test_tied_weights_count_once_and_can_be_kept():
    columns = run(trial("trouble", how="tied"))
    assert columns["status"] == "ok", columns.get("failure_message")
    assert columns["p"] == 16 + 4 + 4 + (4 * 4 + 4) + (4 + 1)
    assert sum(g["trainable"] for g in columns["params_by_group"]) == columns["p"]
    weights = safetensors.torch.load(columns["weights"])
    assert torch.equal(weights["0.weight"], weights["1.weight"])


@pytest.mark.slow
def test_models_of_every_size_see_the_same_data_and_held_out_points():
    small, large = (run(trial("sphere", n=32, d=5, width=w, max_epochs=1)) for w in (2, 50))
    assert small["data_hash"] == large["data_hash"]
    assert small["p"] < large["p"]


@pytest.mark.slow
def test_sensitivity_is_measured_on_the_points_asked_for():
    made = trial("sphere", n=32, d=5, width=8, max_epochs=1)
    some, none = run(made, measure_points=50), run(made, measure_points=0)
    assert some["measure_points"] == 50
    assert "measure_points" not in none and "stability_attack_mean" not in none
    assert none["test_accuracy"] == some["test_accuracy"]
    assert none["weights"] == some["weights"]


@pytest.mark.slow
def test_a_worker_with_other_data_under_the_same_name_trains_nothing(
    monkeypatch: pytest.MonkeyPatch,
):
    made = trial("mnist", n=30, label_flip=0.2, width=4, max_epochs=1)
    assert run(made)["status"] == "ok"
    task = load(made.ref)
    monkeypatch.setattr(type(task), "fingerprint", lambda self, config: "other digits")
    columns = run(made)
    assert columns["failure_kind"] == "bug"
    assert "is not what the sweep was planned with" in columns["failure_message"]
