"""One trial in this process: its columns, what decides them, and every failure as a row that
says what happened."""

import dataclasses
import itertools
import math
import re
import signal
import subprocess
import sys
from typing import Any

import pytest
import safetensors.torch
import torch

from harness.execution.run_batch import run_batch
from harness.noise import Noise
from harness.store.schema import arrow_schema
from harness.sweeps.registry import load, load_samples, refs_in
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings, Trial
from harness.task import Data, Seeds, check
from tests import FAILING_TASK

NOT_MEASURED = {"wall_s", "train_s", "measure_s", "measure_share", "peak_bytes", "started_at"}


def trial(task: str, seed: int = 0, **fixed: Any) -> Trial:
    text = f"name: a\nseeds: [{seed}]\ntasks:\n  - task: {task}\n    fixed: {fixed}\n"
    return parse_sweep(text, "sweep.yaml", refs_in(FAILING_TASK)).trials[0]


def given(
    seconds: float = 60, weights_bytes: int = 10**6, measure_points: int = 256
) -> RunSettings:
    return RunSettings(1, 0, seconds, weights_bytes, measure_points, checkpoints=None)


def run(
    made: Trial, seconds: float = 60, weights_bytes: int = 10**6, measure_points: int = 256
) -> dict[str, Any]:
    (result,) = run_batch(Batch(((made,),)), given(seconds, weights_bytes, measure_points))
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


@pytest.mark.parametrize(("how", "expected"), FAILURES.items(), ids=FAILURES.keys())
def test_failures_are_columns(how: str, expected: tuple[str, str]):
    columns = run(trial("trouble", how=how), seconds=0.5 if expected[0] == "timeout" else 60)
    assert (columns["status"], columns["failure_kind"]) == ("failed", expected[0])
    assert expected[1] in columns["failure_message"]
    assert len(columns["failure_message"]) <= 2000
    assert (
        columns["weights"] is None
        and columns["torch_version"] == torch.__version__
        and columns["wall_s"] > 0
    )


def two_points(**changes: Any) -> Data:
    """The smallest data that a ±1 task may give, with some of it changed."""
    x, y = torch.eye(2), torch.tensor([1.0, -1.0])
    return dataclasses.replace(Data(x, y, x, y, Noise("none", 0.0, 0.0)), **changes)


SOUND = {
    "±1": two_points(),
    "classes": two_points(y_train=torch.tensor([0, 2]), y_test=torch.tensor([1, 1]), classes=3),
    "real-valued": two_points(
        y_train=torch.tensor([0.5, -1.0]), noise=Noise("additive_sign", None, 0.5, sigma2=1.0)
    ),
    "sphere": two_points(manifold="unit-sphere"),
}


@pytest.mark.parametrize("data", SOUND.values(), ids=SOUND.keys())
def test_sound_data_pass(data: Data):
    check(data, (2,), n=2)


SLIPS = {
    "too few inputs": (
        two_points(x_train=torch.eye(2)[:1]),
        "data() gave inputs (1, 2); with n = 2 they must be (2, 2)",
    ),
    "inputs of another shape": (two_points(x_train=torch.zeros(2, 3)), "data() gave inputs (2, 3)"),
    "held-out inputs of another shape": (
        two_points(x_test=torch.zeros(2, 3)),
        "data() gave inputs",
    ),
    "too few labels": (
        two_points(y_train=torch.ones(1)),
        "labels of shape (1,) and (2,); they must be (2,) and (2,)",
    ),
    "a column of labels": (two_points(y_train=torch.ones(2, 1)), "labels of shape (2, 1)"),
    "nothing held out": (
        two_points(x_test=torch.zeros(0, 2), y_test=torch.zeros(0)),
        "at least one held out",
    ),
    "nan inputs": (two_points(x_train=torch.full((2, 2), torch.nan)), "inputs that are not finite"),
    "infinite held-out inputs": (
        two_points(x_test=torch.full((2, 2), torch.inf)),
        "inputs that are not finite",
    ),
    "whole-number labels": (
        two_points(y_train=torch.tensor([1, -1])),
        "not a float between −1 and 1; for classes set `classes`",
    ),
    "nan labels": (
        two_points(y_train=torch.tensor([1.0, torch.nan])),
        "not a float between −1 and 1",
    ),
    "large targets": (two_points(y_test=torch.tensor([1.0, 2.0])), "not a float between −1 and 1"),
    "zero as a label": (
        two_points(y_train=torch.tensor([0.0, 1.0])),
        "labels other than −1 and +1",
    ),
    "a class too many": (
        two_points(y_train=torch.tensor([0, 3]), classes=3),
        "3 classes; labels must be int64 from 0 to 2",
    ),
    "a negative class": (
        two_points(y_train=torch.tensor([0, -1]), classes=3),
        "labels must be int64 from 0 to 2",
    ),
    "float classes": (two_points(classes=3), "labels must be int64"),
    "off the sphere": (
        two_points(x_train=2 * torch.eye(2), manifold="unit-sphere"),
        "points that do not have length 1",
    ),
}


@pytest.mark.parametrize(("data", "words"), SLIPS.values(), ids=SLIPS.keys())
def test_slips_in_a_tasks_data_are_named(data: Data, words: str):
    with pytest.raises(ValueError, match=re.escape(words)):
        check(data, (2,), n=2)


def test_the_line_of_a_task_file_is_named():
    message = run(trial("trouble", how="raise"))["failure_message"]
    (line,) = re.findall(r"\(failing_task\.py:(\d+)\)", message)
    assert "the cat sat on it" in FAILING_TASK.read_text().splitlines()[int(line) - 1]


@pytest.mark.parametrize("stacked", [False, True], ids=["apart", "stacked"])
def test_a_neighbour_in_the_batch_is_not_harmed(stacked: bool):
    trials = (
        trial("trouble", how="raise"),
        trial("trouble"),
        trial("trouble", how="nan"),
        trial("trouble", seed=1),
    )
    results = run_batch(Batch((trials,) if stacked else tuple((t,) for t in trials)), given())
    columns = [result.columns for result in results]
    assert [c.get("failure_kind") for c in columns] == ["bug", None, "nan", None]
    assert [(columns[i]["stack_size"], columns[i]["stack_note"]) for i in (1, 3)] == [
        (3 if stacked else 1, None)
    ] * 2
    assert (
        FAILURES["raise"][1] in columns[0]["failure_message"]
        and FAILURES["nan"][1] in columns[2]["failure_message"]
    )
    assert columns[1]["train_loss"] == pytest.approx(run(trials[1])["train_loss"], rel=1e-4)


def test_the_time_limit_is_taken_down_again():
    before = signal.getsignal(signal.SIGALRM)
    run(trial("trouble", how="wait"), seconds=0.2)
    run(trial("trouble"), seconds=60)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


HANG = """
import sys
import harness.execution.limits as limits
from harness.execution.run_batch import run_batch
from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings

limits.STUCK_S = 0.5
text = "name: a\\nseeds: [0]\\ntasks:\\n  - task: trouble\\n    fixed: {how: hang}\\n"
from pathlib import Path
trials = parse_sweep(text, "sweep.yaml", refs_in(Path(sys.argv[1]))).trials
print("started", flush=True)
run_batch(Batch((trials,)), RunSettings(1, 0, 0.5, 0, 256, None))
"""


def test_a_trial_that_cannot_hear_its_limit_says_where_it_is_stuck():
    command = [sys.executable, "-c", HANG, str(FAILING_TASK)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as stuck:
        assert stuck.stdout and stuck.stderr and stuck.stdout.readline() == "started\n"
        try:
            told = list(itertools.takewhile(lambda line: "run_batch" not in line, stuck.stderr))
            assert stuck.poll() is None, "whether to end it is for others to say"
        finally:
            stuck.kill()
    assert told[0].startswith("Timeout") and any("failing_task.py" in line for line in told)


SMALL = [
    ("trouble", {}),
    ("sphere", {"n": 32, "d": 5, "width": 8, "max_epochs": 20}),
    (
        "sphere",
        {"n": 32, "d": 5, "noise": 0.5, "width": 8, "max_epochs": 20, "stop": "interpolate"},
    ),
    ("mnist", {"n": 30, "label_flip": 0.2, "width": 4, "max_epochs": 3}),
    ("mnist", {"n": 30, "head": "digits", "label_resample": 0.3, "width": 4, "max_epochs": 3}),
]
CNN = ("mnist", {"n": 30, "label_flip": 0.2, "model": "cnn", "max_epochs": 2})


@pytest.mark.parametrize(
    ("task", "fixed"),
    SMALL,
    ids=lambda v: v if isinstance(v, str) else ",".join(map(str, v.values())),
)
def test_same_seed_same_columns_bit_for_bit(task: str, fixed: dict[str, Any]):
    first, again, other = (run(trial(task, seed, **fixed)) for seed in (0, 0, 1))
    assert first["status"] == "ok", first.get("failure_message")
    # repr: NaN equals NaN
    one, two = (
        {k: repr(v) for k, v in columns.items() if k not in NOT_MEASURED}
        for columns in (first, again)
    )
    assert one == two
    assert first["weights"] != other["weights"]
    assert first["data_hash"] != other["data_hash"]
    assert first["train_loss"] != other["train_loss"]


@pytest.fixture(scope="module", params=[*SMALL, CNN], ids=lambda p: f"{p[0]}-{len(p[1])}")
def done(request: pytest.FixtureRequest) -> tuple[Trial, dict[str, Any]]:
    made = trial(request.param[0], **request.param[1])
    return made, run(made)


def test_columns_are_in_the_schema(done: tuple[Trial, dict[str, Any]]):
    assert set(done[1]) - {"weights"} <= set(arrow_schema().names)


def test_columns_agree_with_each_other(done: tuple[Trial, dict[str, Any]]):
    made, c = done
    task, config = load_samples(made.ref), made.load_config()
    data = task.data(config, Seeds(made.seed))
    assert c["n"] == c["tokens_distinct"] == config.n == len(data.x_train)
    assert c["d_ambient"] == data.x_train[0].numel()
    assert c["tokens_seen"] == c["n"] * c["epochs"] and c["steps"] == c["epochs"] * math.ceil(
        c["n"] / min(64, c["n"])
    )
    assert c["params_per_token"] == c["p"] / c["n"]
    assert (
        c["p"]
        == sum(p.numel() for p in task.model(config).parameters())
        == sum(g["trainable"] for g in c["params_by_group"])
    )
    assert c["data_hash"] == data.content_hash()
    assert c["epsilon"] == data.noise.level / 2 > 0
    assert c["below_noise"] == (
        (c["train_error"] if data.classes else c["train_loss"]) <= data.noise.level / 2
    )
    assert c["test_n"] == len(data.x_test) and c["measure_points"] == min(256, len(data.x_test))
    assert c["data_unit"] == data.unit()
    assert c["stability_attack_mean_l2"] == c["stability_attack_mean"] * c["data_unit"]
    assert 0 <= c["stability_attack_mean"] <= c["stability_cap"] == 1.0
    assert c["lip_mean_grad"] <= c["lip_lower_grad"] <= c["lip_lower_grad_ambient"]
    assert c["isoperimetry"] == ("proved" if made.ref.name == "sphere" else "assumed")
    assert c["test_accuracy_se"] == pytest.approx(
        math.sqrt(c["test_accuracy"] * (1 - c["test_accuracy"]) / c["test_n"])
    )


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


def test_weights_above_the_limit_are_not_kept():
    made = trial("trouble", width=100)  # 601 parameters of 4 bytes
    assert run(made, weights_bytes=2403)["weights"] is None
    assert run(made, weights_bytes=2404)["weights"] is not None


def test_tied_weights_count_once_and_can_be_kept():
    columns = run(trial("trouble", how="tied"))
    assert columns["status"] == "ok", columns.get("failure_message")
    assert columns["p"] == 16 + 4 + 4 + (4 * 4 + 4) + (4 + 1)
    assert sum(g["trainable"] for g in columns["params_by_group"]) == columns["p"]
    weights = safetensors.torch.load(columns["weights"])
    assert torch.equal(weights["0.weight"], weights["1.weight"])


def test_models_of_every_size_see_the_same_data_and_held_out_points():
    small, large = (run(trial("sphere", n=32, d=5, width=w, max_epochs=1)) for w in (2, 50))
    assert small["data_hash"] == large["data_hash"] and small["p"] < large["p"]


def test_sensitivity_is_measured_on_the_points_asked_for():
    made = trial("sphere", n=32, d=5, width=8, max_epochs=1)
    some, none = run(made, measure_points=50), run(made, measure_points=0)
    assert some["measure_points"] == 50
    assert "measure_points" not in none and "stability_attack_mean" not in none
    assert none["test_accuracy"] == some["test_accuracy"] and none["weights"] == some["weights"]


def test_a_worker_with_other_data_under_the_same_name_trains_nothing(
    monkeypatch: pytest.MonkeyPatch,
):
    made = trial("mnist", n=30, label_flip=0.2, width=4, max_epochs=1)
    assert run(made)["status"] == "ok"
    task = load(made.ref)
    monkeypatch.setattr(type(task), "fingerprint", lambda self, config: "other digits")
    columns = run(made)
    assert (
        columns["failure_kind"],
        "is not what the sweep was planned with" in columns["failure_message"],
    ) == ("bug", True)
