"""The training loop of language models: its schedule, its optimizer, its windows, and going on
from a checkpoint."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch._dynamo.backends.registry import lookup_backend
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from harness.errors import TrialFailure, UserError
from harness.language import CausalLM, LanguageConfig
from harness.sweeps.registry import TaskRef
from harness.sweeps.trial import Trial
from harness.task import Seeds
from harness.training import checkpoint as checkpoint_module
from harness.training.language_batches import training_windows
from harness.training.language_checkpoint import LanguageCheckpoint, LanguageState
from harness.training.language_loop import CURVE_POINTS, LanguageFit, train_language
from harness.training.language_steps import learning_rate

CPU = torch.device("cpu")
VOCABULARY, CONTEXT = 12, 8


def bigram(vocabulary: int = VOCABULARY, width: int = 16) -> nn.Module:
    """An embedding and a layer with biases: any table of next-token probabilities, for a width ≥
    the vocabulary."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary))


def gpt(dropout: float = 0.0) -> CausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        given: dict[str, Any] = {
            name: dropout for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop")
        }
        given |= dict(vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=16, n_layer=1, n_head=2)
        return CausalLM(GPT2LMHeadModel(GPT2Config(**given, bos_token_id=None, eos_token_id=None)))


def chain(length: int, stay: float = 0.8, vocabulary: int = VOCABULARY) -> np.ndarray:
    """Tokens each followed by the next one round the circle with probability `stay`, else by one
    that is 2 further."""
    draw = np.random.default_rng(0)
    return (np.cumsum(np.where(draw.random(length) < stay, 1, 2)) % vocabulary).astype(np.uint16)


def config(**given: Any) -> LanguageConfig:
    return LanguageConfig(**{"n": 30, "context": CONTEXT, "batch_size": 12, **given})


def go(
    model: nn.Module,
    given: LanguageConfig,
    tokens: np.ndarray | None = None,
    kept: LanguageCheckpoint | None = None,
    seed: int = 0,
) -> LanguageFit:
    with torch.random.fork_rng():
        torch.manual_seed(5)  # what dropout draws from
        tokens = chain(given.n * given.context + 50) if tokens is None else tokens
        return train_language(model, tokens, given, Seeds(seed).generator("order"), CPU, kept)


class Recorder(nn.Module):
    """Keeps every batch that it is given."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(vocabulary, vocabulary))
        self.batches: list[Tensor] = []

    def forward(self, tokens: Tensor) -> Tensor:
        self.batches.append(tokens.clone())
        return self.table[tokens]


# The schedule


def nanogpt(config: LanguageConfig, step: int, warmup: int, steps: int) -> float:
    """get_lr of nanoGPT's train.py."""
    low = config.lr * config.final_lr
    if step < warmup:
        return config.lr * (step + 1) / (warmup + 1)
    ratio = (step - warmup) / (steps - warmup)
    return low + 0.5 * (1.0 + math.cos(math.pi * ratio)) * (config.lr - low)


@pytest.mark.parametrize("final_lr", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("warmup", "in_steps"), [(0.0, 0), (0.05, 2), (0.5, 18), (1.0, 36)])
def test_the_schedule_is_nanogpts(warmup: float, in_steps: int, final_lr: float):
    # 12 steps in an epoch, the last of 8
    given = config(n=140, warmup=warmup, final_lr=final_lr, max_epochs=3, lr=0.02)
    for step in range(36):
        assert learning_rate(given, step) == pytest.approx(
            nanogpt(given, step, in_steps, 36), rel=1e-12
        )


def test_the_schedules_ends():
    given = config(n=1200, warmup=0.1, final_lr=0.1, lr=1.0)
    rates = [learning_rate(given, step) for step in range(100)]
    assert (
        rates[0] == pytest.approx(1 / 11)
        and rates[9] == pytest.approx(10 / 11)
        and rates[10] == 1.0
    )
    assert (
        rates[55] == pytest.approx(0.55)
        and rates[:11] == sorted(rates[:11])
        and rates[10:] == sorted(rates[10:], reverse=True)
    )
    assert 0.1 < rates[99] < 0.101 and learning_rate(given, 100) == pytest.approx(0.1)


# Steps


def by_hand(
    model: nn.Module, given: LanguageConfig, tokens: np.ndarray, seed: int = 0
) -> list[float]:
    """The same training in plain words; gives the losses."""
    windows = torch.from_numpy(training_windows(tokens, given.context, given.n).astype(np.int64))
    order = Seeds(seed).generator("order")
    rows = torch.randperm(len(windows), generator=order)[: given.n]
    batches = []
    for epoch in range(given.max_epochs):
        mine = rows[torch.randperm(given.n, generator=order)] if epoch else rows
        batches += list(mine.split(given.batch_size))
    first, second = (
        {name: torch.zeros_like(p) for name, p in model.named_parameters()} for _ in range(2)
    )
    losses = []
    for step, batch in enumerate(batches):
        x, y = windows[batch, :-1], windows[batch, 1:]
        loss = F.cross_entropy(model(x).transpose(1, 2), y)
        losses.append(loss.item())
        gradients = dict(
            zip(first, torch.autograd.grad(loss, list(model.parameters())), strict=True)
        )
        norm = sum(float(g.square().sum()) for g in gradients.values()) ** 0.5
        lr = learning_rate(given, step)
        with torch.no_grad():
            for name, p in model.named_parameters():
                g = gradients[name] * min(1.0, given.clip / (norm + 1e-6))
                first[name] = 0.9 * first[name] + 0.1 * g
                second[name] = given.beta2 * second[name] + (1 - given.beta2) * g.square()
                if not (name.endswith("bias") or ".ln_" in name):  # embeddings decay, as in nanoGPT
                    p -= lr * given.weight_decay * p
                mean, square = (
                    first[name] / (1 - 0.9 ** (step + 1)),
                    second[name] / (1 - given.beta2 ** (step + 1)),
                )
                p -= lr * mean / (square.sqrt() + 1e-8)
    return losses


STEPS = {
    "a single step": dict(n=12),
    "with a loose clip": dict(clip=1e6),
    "with a tight clip": dict(clip=0.05),
    "without decay": dict(weight_decay=0.0),
    "with much decay": dict(weight_decay=5.0, lr=0.1),
    "of another beta": dict(beta2=0.5),
    "over two epochs": dict(max_epochs=2),
    "of one window": dict(n=5, batch_size=1),
    "with a batch that is all": dict(n=5, batch_size=100, max_epochs=4),
}


@pytest.mark.parametrize("make", [bigram, gpt])
@pytest.mark.parametrize("given", STEPS.values(), ids=STEPS.keys())
def test_steps_are_adamws(given: dict[str, Any], make: Callable[[], nn.Module]):
    asked = config(**{"lr": 0.01, **given})
    # float64: Adam makes much of a gradient that is rounding alone
    model, other, tokens = make().double(), make().double(), chain(2000)
    fit = go(model, asked, tokens)
    losses = by_hand(other, asked, tokens)
    assert fit.steps == len(losses) and [point.loss for point in fit.curve] == pytest.approx(
        losses, rel=1e-5
    )
    for name, p in model.named_parameters():
        torch.testing.assert_close(other.get_parameter(name), p, rtol=1e-6, atol=1e-9)


def test_a_chain_is_learned_to_its_entropy():
    fit = go(
        bigram(),
        config(n=6000, context=32, batch_size=32, lr=0.03, weight_decay=0.0),
        chain(200_000),
    )
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    assert fit.loss == pytest.approx(entropy, abs=0.02) and fit.error == pytest.approx(
        0.2, abs=0.01
    )
    assert fit.curve[0].loss > 2 * entropy


def test_gpt_learns_too():
    fit = go(gpt(), config(n=1500, batch_size=32, lr=0.02))
    assert fit.loss < 0.65 < 2.0 < fit.curve[0].loss


@pytest.mark.parametrize("micro", [1, 3, 4, 6])
@pytest.mark.parametrize("model", [bigram, gpt])
def test_accumulated_gradients_are_those_of_the_whole_batch(
    model: Callable[[], nn.Module], micro: int
):
    """30 windows in batches of 12: the last one has 6, which micro-batches of 4 do not divide."""
    whole, parts = model(), model()
    one, other = (
        go(whole, config(max_epochs=2, clip=0.5)),
        go(parts, config(max_epochs=2, clip=0.5, micro_batch=micro)),
    )
    for mine, its in zip(one.curve, other.curve, strict=True):
        assert mine[:2] == its[:2] and mine.loss == pytest.approx(its.loss, rel=1e-5)
    assert one.error == other.error
    for name, p in whole.named_parameters():
        torch.testing.assert_close(parts.get_parameter(name), p, rtol=1e-3, atol=2e-5)


# Windows


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int64])
@pytest.mark.parametrize(
    ("length", "context"), [(9, 8), (16, 8), (17, 8), (1000, 7), (3, 2), (100, 99)]
)
def test_every_token_but_the_first_is_a_target_once(length: int, context: int, dtype: type):
    tokens = np.arange(length).astype(dtype)
    found = training_windows(tokens, context, 1)
    assert found.shape == ((length - 1) // context, context + 1) and np.shares_memory(found, tokens)
    targets = found[:, 1:].flatten()
    assert list(targets) == list(range(1, len(targets) + 1)) and length - 1 - len(targets) < context
    assert np.array_equal(found[:, :-1] + 1, found[:, 1:])


@pytest.mark.parametrize(("length", "n"), [(0, 1), (1, 1), (8, 1), (9, 2), (100, 13)])
def test_too_few_windows(length: int, n: int):
    there = max(length - 1, 0) // CONTEXT
    with pytest.raises(
        UserError,
        match=f"the corpus has {there} training windows of {CONTEXT} tokens, and n is {n}$",
    ):
        go(bigram(), config(n=n), chain(length))


@pytest.mark.parametrize("given", [dict(n=0), dict(max_epochs=0)])
def test_nothing_to_train_on(given: dict[str, Any]):
    with pytest.raises(ValueError, match="nothing to train on"):
        go(bigram(), config(**given))


def seen(
    n: int,
    max_epochs: int = 1,
    seed: int = 0,
    batch_size: int = 7,
    tokens: np.ndarray | None = None,
) -> list[tuple[int, ...]]:
    """Windows in the order in which a model saw them, as it saw them: without the last target."""
    recorder = Recorder(1000)
    go(
        recorder,
        config(n=n, max_epochs=max_epochs, batch_size=batch_size),
        np.arange(1000) if tokens is None else tokens,
        seed=seed,
    )
    assert all(batch.dtype == torch.int64 for batch in recorder.batches)
    return [tuple(row) for batch in recorder.batches for row in batch.tolist()]


def test_a_smaller_n_is_a_prefix():
    longest = seen(124)
    assert sorted(longest) == [
        tuple(range(begin, begin + CONTEXT)) for begin in range(0, 992, CONTEXT)
    ]
    assert longest != sorted(longest)
    for n in (1, 6, 7, 8, 60, 123):
        assert seen(n) == longest[:n]
        assert seen(n, batch_size=16) == longest[:n], "whatever the batches"


def test_seeds_draw_other_windows():
    assert set(seen(20, seed=1)) != set(seen(20)) == set(seen(20))


def test_every_epoch_has_the_same_windows_in_a_new_order():
    found = seen(20, max_epochs=3)
    epochs = [found[begin : begin + 20] for begin in (0, 20, 40)]
    assert epochs[0] == seen(20) and len({tuple(epoch) for epoch in epochs}) == 3
    assert len({frozenset(epoch) for epoch in epochs}) == 1


def test_tokens_may_lie_in_a_file(tmp_path: Path):
    path = tmp_path / "tokens.bin"
    np.arange(1000, dtype=np.uint16).tofile(path)
    assert seen(20, tokens=np.memmap(path, np.uint16, mode="r")) == seen(20)


# What a Fit says


class Successor(nn.Module):
    """Says token + 1 after every token, as sure as its one weight is large."""

    def __init__(self, sure: float = 2.0):
        super().__init__()
        self.sure = nn.Parameter(torch.tensor(sure))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.sure * F.one_hot((tokens + 1) % VOCABULARY, VOCABULARY)


@pytest.mark.parametrize(
    ("n", "batch_size", "max_epochs"),
    [(1, 1, 1), (30, 12, 1), (95, 2, 3), (300, 1, 1), (501, 5, 1), (7, 100, 30)],
)
def test_a_fits_figures_are_those_of_its_last_steps(n: int, batch_size: int, max_epochs: int):
    """A model that hardly moves, on tokens that it foretells four times in five: every figure
    can be counted by hand."""
    given = config(n=n, batch_size=batch_size, max_epochs=max_epochs, lr=1e-9)
    tokens = chain(n * CONTEXT + 90)
    fit = go(Successor(), given, tokens)
    recorder = Recorder(VOCABULARY)
    go(recorder, given, tokens)
    steps = [len(batch) for batch in recorder.batches]
    assert (fit.steps, fit.curve[-1].tokens, fit.resumed_step) == (
        len(steps),
        n * CONTEXT * max_epochs,
        None,
    )

    order, windows = Seeds(0).generator("order"), training_windows(tokens, CONTEXT, n)
    rows = torch.randperm(len(windows), generator=order)[:n]
    rows = torch.cat(
        [rows, *(rows[torch.randperm(n, generator=order)] for _ in range(max_epochs - 1))]
    ).numpy()
    wrong = ((windows[rows, :-1].astype(int) + 1) % VOCABULARY != windows[rows, 1:]).sum(1)
    last = sum(steps[-math.ceil(len(steps) / 10) :])
    assert fit.error == wrong[-last:].sum() / (last * CONTEXT)
    right = math.exp(2) / (math.exp(2) + VOCABULARY - 1)
    mean = -(math.log(right) * (1 - fit.error) + math.log(right / math.exp(2)) * fit.error)
    assert fit.loss == pytest.approx(mean, rel=1e-5)

    assert len(fit.curve) <= CURVE_POINTS and fit.curve[-1].step == fit.steps
    apart = {b.step - a.step for a, b in zip(fit.curve, fit.curve[1:-1], strict=False)}
    assert len(apart) <= 1 and [point.tokens for point in fit.curve] == [
        sum(steps[: p.step]) * CONTEXT for p in fit.curve
    ]
    begin = 0
    for point in fit.curve:
        share = wrong[begin : point.tokens // CONTEXT].mean() / CONTEXT
        assert point.loss == pytest.approx(-(math.log(right) - 2 * share), rel=1e-5)
        begin = point.tokens // CONTEXT


def test_the_model_ends_in_evaluation_mode():
    model = gpt(dropout=0.1).eval()
    modes = []
    model.register_forward_hook(lambda *_: modes.append(model.training))
    go(model, config())
    assert modes == [True] * 3 and not any(m.training for m in model.modules())


class Breaking(nn.Module):
    """Gives a number that is none from a call on."""

    def __init__(self, call: int, number: float):
        super().__init__()
        self.table, self.call, self.number, self.calls = (
            nn.Parameter(torch.zeros(VOCABULARY, VOCABULARY)),
            call,
            number,
            0,
        )

    def forward(self, tokens: Tensor) -> Tensor:
        self.calls += 1
        return self.table[tokens] + (self.number if self.calls >= self.call else 0.0)


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("micro", [None, 1])
@pytest.mark.parametrize("step", [1, 2, 180, 399, 400])
def test_a_loss_that_is_not_finite_ends_the_trial(step: int, micro: int | None, number: float):
    given = config(n=800, batch_size=2, micro_batch=micro)
    with pytest.raises(TrialFailure, match=f"the training loss is nan in step {step}$") as failure:
        go(Breaking(step * (2 if micro else 1), number), given)
    assert failure.value.kind == "nan"


def test_a_weight_that_is_not_finite_ends_the_trial():
    class Rooted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(VOCABULARY))

        def forward(self, tokens: Tensor) -> Tensor:
            return self.weight.square().sqrt().expand(*tokens.shape, VOCABULARY)

    with pytest.raises(TrialFailure, match="a weight is not finite after the last step, 1$"):
        go(Rooted(), config(n=1))


# Numbers of less precision, and compiled


@pytest.mark.parametrize("model", [bigram, gpt])
def test_bfloat16_stays_close(model: Callable[[], nn.Module]):
    given = dict(n=600, lr=0.01, max_epochs=2)
    exact, rough = model(), model()
    kinds = set()
    rough.register_forward_hook(lambda *got: kinds.add(got[2].dtype))
    one, other = go(exact, config(**given)), go(rough, config(**given, precision="bfloat16"))
    assert kinds == {torch.bfloat16} and {p.dtype for p in rough.parameters()} == {torch.float32}
    assert [p.loss for p in other.curve] == pytest.approx([p.loss for p in one.curve], abs=0.02)
    assert other != one and other.loss < one.curve[0].loss / 2


# torch's own, when its compiler is imported
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("model", "precision"), [(bigram, "float32"), (gpt, "bfloat16")])
def test_compiled_is_eager(
    model: Callable[[], nn.Module], precision: str, monkeypatch: pytest.MonkeyPatch
):
    """Traced and differentiated by torch's compiler, which then writes no code of its own: that
    takes g++ half a minute."""
    graphs = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return lookup_backend("aot_eager")(graph, inputs)

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    eager, compiled = model(), model()
    given = dict(max_epochs=4, precision=precision)
    one, other = go(eager, config(**given)), go(compiled, config(**given, compiled=True))
    assert [p.loss for p in other.curve] == pytest.approx(
        [p.loss for p in one.curve], rel=1e-5
    ) and other.error == one.error
    assert len(graphs) == 2, (
        "one for the whole batches and one for the short ones, each of one piece"
    )
    for name, p in eager.named_parameters():
        torch.testing.assert_close(compiled.get_parameter(name), p, rtol=1e-3, atol=2e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_any_number_of_models_may_be_compiled_in_one_process(monkeypatch: pytest.MonkeyPatch):
    graphs = []
    monkeypatch.setattr(
        torch,
        "compile",
        partial(torch.compile, backend=lambda graph, _: graphs.append(graph) or graph),
    )
    for width in range(1, 11):
        go(bigram(width=width), config(n=12, compiled=True))
    assert len(graphs) == 10


# Checkpoints


def any_trial(name: str = "0" * 16) -> Trial:
    return Trial(name, TaskRef("sphere"), {}, 0)


def kept_in(
    folder: Path, trial: Trial | None = None, kind: type[LanguageCheckpoint] = LanguageCheckpoint
) -> Any:
    made = kind.at(f"{folder}/{{}}.safetensors", trial or any_trial())
    assert made is not None
    return made


class Cut(Exception):
    pass


class CutOff(LanguageCheckpoint):
    """Ends the process, as it were, after a step's checkpoint."""

    after = 0

    def save(self, state: LanguageState) -> None:
        super().save(state)
        if state.step == self.after:
            raise Cut


@pytest.fixture
def after_every_step(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoint_module, "EVERY_S", 0.0)


def cut_off(folder: Path, model: nn.Module, given: LanguageConfig, after: int) -> None:
    kept = kept_in(folder, kind=CutOff)
    kept.after = after
    with pytest.raises(Cut):
        go(model, given, kept=kept)


class Counting(nn.Module):
    """Counts its calls in a buffer, and answers accordingly."""

    calls: Tensor

    def __init__(self):
        super().__init__()
        self.inner = bigram()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, tokens: Tensor) -> Tensor:
        self.calls += 1
        return self.inner(tokens) / (1 + 0.1 * self.calls)


def half_frozen() -> nn.Module:
    made = bigram()
    made[0].requires_grad_(False)  # pyright: ignore
    return made


RESUMED: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "plain": (bigram, dict(max_epochs=3)),
    "gpt": (gpt, dict(max_epochs=3)),
    "accumulated": (gpt, dict(max_epochs=3, micro_batch=4)),
    "with dropout": (lambda: gpt(0.2), dict(max_epochs=3)),
    "with dropout, accumulated": (lambda: gpt(0.2), dict(max_epochs=3, micro_batch=6)),
    "in bfloat16": (gpt, dict(max_epochs=3, precision="bfloat16")),
    "with a buffer": (Counting, dict(max_epochs=3)),
    "half frozen": (half_frozen, dict(max_epochs=3)),
    "one long epoch": (bigram, dict(n=230, batch_size=1)),
}


@pytest.mark.usefixtures("after_every_step")
@pytest.mark.parametrize(("model", "given"), RESUMED.values(), ids=RESUMED.keys())
def test_what_was_cut_off_goes_on_exactly(
    model: Callable[[], nn.Module], given: dict[str, Any], tmp_path: Path
):
    asked, whole = config(**given), model()
    expected = go(whole, asked)
    for after in (1, 4, expected.steps - 1):
        cut_off(tmp_path, model(), asked, after)
        again = model()
        fit = go(again, asked, kept=kept_in(tmp_path))
        assert fit.resumed_step == after and fit._replace(resumed_step=None) == expected
        assert all(
            torch.equal(p, again.get_parameter(name)) for name, p in whole.named_parameters()
        )
        assert all(torch.equal(b, again.get_buffer(name)) for name, b in whole.named_buffers())
        next(tmp_path.iterdir()).unlink()


@pytest.mark.usefixtures("after_every_step")
def test_cut_off_again_and_again(tmp_path: Path):
    asked, whole = config(n=230, batch_size=4), gpt(0.2)
    expected = go(whole, asked)
    cuts = range(3, expected.steps, 9)
    for after in cuts:
        cut_off(tmp_path, gpt(0.2), asked, after)
    again = gpt(0.2)
    fit = go(again, asked, kept=kept_in(tmp_path))
    assert (
        fit.resumed_step == cuts[-1] and fit.curve == expected.curve and fit.error == expected.error
    )
    assert all(torch.equal(p, again.get_parameter(name)) for name, p in whole.named_parameters())


@pytest.mark.usefixtures("after_every_step")
def test_keeping_checkpoints_changes_nothing(tmp_path: Path):
    asked, one, other = config(max_epochs=3), gpt(0.2), gpt(0.2)
    plain, kept = go(one, asked), go(other, asked, kept=kept_in(tmp_path))
    assert kept == plain
    assert all(torch.equal(p, other.get_parameter(name)) for name, p in one.named_parameters())
    assert [p.name for p in tmp_path.iterdir()] == [f"{any_trial().trial_id}.safetensors"], (
        "no temporary file stays"
    )


@pytest.mark.usefixtures("after_every_step")
def test_a_nan_before_the_checkpoint_is_found_after_it(tmp_path: Path):
    """Losses are looked at every few steps, and a checkpoint may be written between a bad one
    and that."""
    asked = config(n=230, batch_size=1)  # looked at every third step
    cut_off(tmp_path, Breaking(4, math.nan), asked, after=4)
    with pytest.raises(TrialFailure, match="in step 4$"):
        go(Breaking(1000, 0.0), asked, kept=kept_in(tmp_path))


def test_no_checkpoint_before_it_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # a task file of other tests sets it where it is loaded
    monkeypatch.setattr(checkpoint_module, "EVERY_S", 30.0)
    go(bigram(), config(max_epochs=3), kept=kept_in(tmp_path))
    assert not list(tmp_path.iterdir())


def rewritten(
    path: Path, metadata: dict[str, str] | None = None, without: str = "-", **changed: Tensor
) -> None:
    """The file with other metadata, without some tensors, or with others."""
    with safe_open(path, framework="pt") as f:
        said: dict[str, str] = f.metadata()
    tensors = {name: t for name, t in load_file(path).items() if not name.startswith(without)}
    save_file(
        {**tensors, **{f"rest/{name}": t for name, t in changed.items()}},
        path,
        metadata=said if metadata is None else metadata,
    )


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "gone": lambda p: p.unlink(),
    "empty": lambda p: p.write_bytes(b""),
    "half of it": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "text": lambda p: p.write_text("a letter\n" * 100),
    "a pickle": lambda p: torch.save({"step": 2}, p),
    "no metadata": lambda p: rewritten(p, {}),
    "no step": lambda p: rewritten(p, kept_in(p.parent).made_by),
    "another step": lambda p: rewritten(p, {**kept_in(p.parent).made_by, "step": "3"}),
    "no moments": lambda p: rewritten(p, without="second_moments/"),
    "no state of dropout": lambda p: rewritten(p, without="rest/dropout"),
    "something more": lambda p: rewritten(p, more=torch.zeros(1)),
    "of another trial": lambda p: rewritten(
        p, {**kept_in(p.parent, any_trial("1" * 16)).made_by, "step": "2"}
    ),
    "of another torch": lambda p: rewritten(
        p, {**kept_in(p.parent).made_by, "torch": "1.0", "step": "2"}
    ),
    "of another loop": lambda p: rewritten(
        p, {**kept_in(p.parent).made_by, "identity_version": "0", "step": "2"}
    ),
}


@pytest.mark.usefixtures("after_every_step")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_or_foreign_file_is_no_checkpoint(damage: Callable[[Path], Any], tmp_path: Path):
    cut_off(tmp_path, bigram(), config(), after=2)
    path = next(tmp_path.iterdir())
    found = kept_in(tmp_path).load(CPU)
    assert found is not None and found.step == 2 and len(found.losses) == 2
    damage(path)
    assert kept_in(tmp_path).load(CPU) is None


@pytest.mark.usefixtures("after_every_step")
def test_a_checkpoint_that_cannot_be_written_costs_the_checkpoint_and_not_the_trial(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    kept = kept_in(folder)
    folder.rmdir()
    assert go(bigram(), config(), kept=kept).resumed_step is None and kept.load(CPU) is None
