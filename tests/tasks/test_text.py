"""Text in the law's own setting: which windows are drawn, what a trial of them reports, and what
is refused."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from harness.errors import UserError
from harness.execution.run_batch import run_batch
from harness.measures.counts import count_parameters
from harness.measures.gradients import linear_distance, margins, slopes
from harness.measures.jacobian import WHOLE_OUTPUTS, linearise, local_norms, local_norms_of
from harness.planning.model_shape import shape_of
from harness.planning.plan import plan
from harness.store.schema import arrow_schema
from harness.sweeps.registry import TaskRef
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.sweeps.trial import Batch, RunSettings, Trial
from harness.task import Data, Seeds, check
from tasks.corpora import load_corpus
from tasks.gpt import WindowGPT
from tasks.text import HELD_OUT, TextConfig, TextWindows, token_table

TASK = TextWindows()


def write_texts(folder: Path, documents: int = 100, words: int = 1400) -> str:
    """The source of a folder of texts: words of two to seven letters drawn from eighty, one text
    a document."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    known = [
        "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 7))) for _ in range(80)
    ]
    for number in range(documents):
        (folder / f"{number:03}.txt").write_text(" ".join(draw.choices(known, k=words)) + ".\n")
    return f"text:{folder}"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_texts(tmp_path_factory.mktemp("texts"))


def made(source: str, **given: Any) -> TextConfig:
    return TextConfig(
        **{
            "source": source,
            "n": 60,
            "context": 8,
            "d_in": 4,
            "width": 8,
            "layers": 1,
            "target_resample": 0.3,
            **given,
        }
    )


def drawn(source: str, seed: int = 0, **given: Any) -> Data:
    return TASK.data(made(source, **given), Seeds(seed))


def tokens_of(x: Tensor, vocabulary: int = 256) -> Tensor:
    """The tokens that inputs were made of."""
    return (
        torch.cdist(x.flatten(0, -2), token_table(vocabulary, x.shape[-1]))
        .argmin(1)
        .reshape(x.shape[:-1])
    )


# What is drawn


@pytest.mark.parametrize(("context", "d_in"), [(6, 2), (8, 4), (16, 8)])
@pytest.mark.parametrize(("tokenizer", "vocabulary"), [("bytes", 256), ("bpe-300", 300)])
def test_the_contract(source: str, tokenizer: str, vocabulary: int, context: int, d_in: int):
    config = made(source, tokenizer=tokenizer, context=context, d_in=d_in)
    data, (inputs, width) = TASK.data(config, Seeds(0)), TASK.input_shape(config)
    check(data, (context, d_in), config.n)
    assert (
        (inputs, width) == (context, d_in)
        and TASK.d_ambient(config) == context * d_in
        and TASK.tokens_distinct(config) == 60
    )
    assert data.x_train.shape == (60, context, d_in) and data.x_test.shape == (
        HELD_OUT,
        context,
        d_in,
    )
    assert data.classes == vocabulary and data.noise.kind == "target_resample"
    assert (
        data.noise.level == data.noise.bayes_error == pytest.approx(0.3 * (1 - 1 / vocabulary))
        and data.noise.sigma2 is None
    )
    assert data.text is not None and data.text.byte_tokens == (tokenizer == "bytes")
    assert data.text.tokens.dtype == torch.int64 and data.text.table.shape == (vocabulary, d_in)
    assert torch.equal(data.x_test, data.text.table[data.text.tokens])
    assert TASK.model(config)(data.x_train[:3]).shape == (3, vocabulary)
    shape = shape_of(TaskRef("text"), config)
    assert (shape.input_shape, shape.outputs, shape.p_frozen) == ((context, d_in), vocabulary, 0)


def pieces(source: str, context: int) -> dict[str, set[bytes]]:
    """Windows of context + 1 bytes of the documents of either side, each document cut from its
    beginning."""
    corpus, found = load_corpus(source, "bytes"), {}
    for side, stream in (("train", corpus.train), ("held_out", corpus.held_out)):
        texts = stream.astype("uint8").tobytes().split(b"\0")[:-1]
        size = context + 1
        found[side] = {
            text[i : i + size] for text in texts for i in range(0, len(text) - size + 1, size)
        }
    return found


@pytest.mark.parametrize("context", [7, 8, 16])
def test_windows_lie_within_documents_of_their_side_and_the_target_follows(
    source: str, context: int
):
    data, there = (
        drawn(source, context=context, n=400, target_resample=0.0, stop="epochs"),
        pieces(source, context),
    )
    assert data.noise.kind == "none" and data.noise.level == 0.0
    for x, y, side in (
        (data.x_train, data.y_train, "train"),
        (data.x_test, data.y_test, "held_out"),
    ):
        windows = torch.cat([tokens_of(x), y[:, None]], dim=1)
        assert {bytes(w) for w in windows.tolist()} <= there[side]
        assert len(windows[:, :-1].unique(dim=0)) == len(windows), (
            "one input with two targets could never be fitted"
        )
    assert len(there["held_out"] - there["train"]) > 100, "the sides can be told apart"


@pytest.mark.parametrize("smaller", [10, 33, 399])
def test_windows_are_nested_in_n(source: str, smaller: int):
    few, many = (drawn(source, n=n, target_resample=0.0, stop="epochs") for n in (smaller, 400))
    assert torch.equal(few.x_train, many.x_train[:smaller]) and torch.equal(
        few.y_train, many.y_train[:smaller]
    )
    assert torch.equal(few.x_test, many.x_test) and torch.equal(few.y_test, many.y_test)


def test_seeds_draw_other_windows_and_other_noise_of_the_same_text_and_table(source: str):
    one, other = drawn(source), drawn(source, seed=1)
    assert (
        not torch.equal(one.x_train, other.x_train)
        and torch.equal(one.x_test, other.x_test)
        and torch.equal(one.y_test, other.y_test)
    )
    assert (
        one.text is not None
        and other.text is not None
        and torch.equal(one.text.table, other.text.table)
    )
    assert one.content_hash() == drawn(source).content_hash() != other.content_hash()


@pytest.mark.parametrize(
    "size", [dict(width=16), dict(layers=3), dict(heads=4), dict(lr=0.1), dict(batch_size=7)]
)
def test_models_of_every_size_see_the_same(source: str, size: dict[str, Any]):
    assert drawn(source, **size).content_hash() == drawn(source).content_hash()


@pytest.mark.parametrize("eta", [0.1, 0.5, 1.0])
def test_as_many_targets_are_redrawn_as_the_noise_says(source: str, eta: float):
    clean, noisy = (
        drawn(source, n=2000, target_resample=0.0, stop="epochs"),
        drawn(source, n=2000, target_resample=eta),
    )
    assert torch.equal(clean.x_train, noisy.x_train) and torch.equal(clean.y_test, noisy.y_test)
    wrong = float((clean.y_train != noisy.y_train).float().mean())
    assert wrong == pytest.approx(noisy.noise.bayes_error, abs=4 * (eta / 2000) ** 0.5)
    redrawn = noisy.y_train[clean.y_train != noisy.y_train]
    assert len(redrawn.unique()) > 60 and int(redrawn.max()) > 200, (
        "from the whole vocabulary, not from the 28 bytes of the text"
    )


@pytest.mark.parametrize("d_in", [1, 8, 64])
def test_the_table_is_fixed_and_its_rows_have_mean_square_1(d_in: int):
    table = token_table(256, d_in)
    assert torch.equal(table, token_table(256, d_in)) and not table.requires_grad
    assert float(table.square().sum(1).mean()) == pytest.approx(
        1.0, abs=4 * (2 / 256 / d_in) ** 0.5
    )
    assert len(table.unique(dim=0)) == 256


def test_the_data_are_part_of_the_trials_identity_and_their_place_is_not(
    source: str, tmp_path: Path
):
    elsewhere, other = write_texts(tmp_path / "same"), write_texts(tmp_path / "other", words=1401)
    first, same, different = (trial(at) for at in (source, elsewhere, other))
    assert first.trial_id == same.trial_id != different.trial_id


# Size


@pytest.mark.parametrize(
    ("width", "heads", "layers", "context", "d_in"),
    [(8, 2, 1, 8, 4), (32, 4, 2, 16, 8), (64, 2, 3, 5, 1)],
)
def test_parameters_by_group(
    source: str, width: int, heads: int, layers: int, context: int, d_in: int
):
    counts = count_parameters(
        TASK.model(
            made(source, width=width, heads=heads, layers=layers, context=context, d_in=d_in)
        )
    )
    groups = {group.group: group.trainable for group in counts.groups}
    assert groups == {
        "embedding": d_in * width,
        "position": context * width,
        "norm": (2 * layers + 1) * 2 * width,
        "attention": layers * 4 * (width + 1) * width,
        "mlp": layers * (8 * width**2 + 5 * width),
        "head": width * 256,
    }
    assert sum(groups.values()) == counts.trainable and counts.frozen == 0, (
        "the table is data and no parameter"
    )


# What is refused


def sweep(source: str, grid: str = "{}", seeds: str = "[0]", **fixed: Any) -> Sweep:
    usual = {"n": 60, "context": 8, "d_in": 4, "width": 8, "layers": 1, "target_resample": 0.3}
    fixed = {
        **{name: value for name, value in usual.items() if f"{name}:" not in grid},
        **fixed,
        "source": source,
    }
    text = (
        f"name: a\nseeds: {seeds}\ntasks:\n  - task: text\n    fixed: {fixed}\n    grid: {grid}\n"
    )
    return parse_sweep(text, "sweep.yaml", {})


def trial(source: str, seed: int = 0, **fixed: Any) -> Trial:
    return sweep(source, seeds=f"[{seed}]", **fixed).trials[0]


REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "heads that do not divide": (
        dict(width=10, heads=4),
        ["'heads' is 4 and must divide 'width', 10"],
    ),
    "no noise to stop at": (
        dict(target_resample=0.0),
        ["stop 'noise' needs injected noise", "target_resample above 0", "'interpolate'"],
    ),
    "a share above 1": (dict(target_resample=1.5), ["target_resample", "1.5"]),
    "too few windows to ask for": (dict(n=5), ["n", "5", "10"]),
    "no context": (dict(context=0), ["context", "0", "1"]),
    "no numbers": (dict(d_in=0), ["d_in", "0", "1"]),
    "no layer": (dict(layers=0), ["layers", "0", "1"]),
    "an unknown tokenizer": (
        dict(tokenizer="letters"),
        ["tokenizer", "'letters'", "'bytes'", "'bpe-N'"],
    ),
    "too small a tokenizer": (dict(tokenizer="bpe-100"), ["tokenizer", "'bpe-100'", "257"]),
    "a slip in a name": (dict(withd=8), ["withd", "width"]),
    "a word for a number": (dict(width="wide"), ["width", "wide"]),
}


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_named(source: str, given: dict[str, Any], words: list[str]):
    with pytest.raises(UserError) as refused:
        sweep(source, **given)
    said = str(refused.value)
    assert all(word in said for word in words) and "\n" not in said, said


@pytest.mark.parametrize("asked", ["txt:books", "python-stdlb", ""])
def test_an_unknown_source_is_refused(asked: str):
    with pytest.raises(
        UserError,
        match=f"the source of text must be 'python-stdlib', .*not {re.escape(repr(asked))}",
    ):
        sweep(asked)


SHORT: dict[str, tuple[dict[str, Any], str]] = {
    "training": (
        dict(n=100_000),
        r"the source has [\d,]+ different training windows of 8 tokens, and 100,000 are needed",
    ),
    "held out": (
        dict(context=2, n=10),
        r"the source has \d+ different held-out windows of 2 tokens, and 1,000 are needed",
    ),
}


@pytest.mark.parametrize(("given", "sentence"), SHORT.values(), ids=SHORT.keys())
def test_too_little_text_is_one_sentence(source: str, given: dict[str, Any], sentence: str):
    with pytest.raises(UserError, match=sentence):
        drawn(source, **given)
    (columns,) = run(trial(source, **given))
    assert columns["status"] == "failed" and re.search(sentence, columns["failure_message"])


# Trials


def run(*stacks: Trial | tuple[Trial, ...], points: int = 0) -> list[dict[str, Any]]:
    given = RunSettings(1, 0, 600, 10**7, points, checkpoints=None)
    batch = Batch(tuple(s if isinstance(s, tuple) else (s,) for s in stacks))
    return [result.columns | {"weights": result.weights} for result in run_batch(batch, given)]


def test_a_stack_trains_as_each_alone(source: str):
    about = dict(n=64, batch_size=16, stop="epochs", max_epochs=5, layers=2)
    trials = tuple(trial(source, seed, **about) for seed in (0, 1, 2))
    for mine, alone in zip(run(trials), run(*trials), strict=True):
        assert (mine["stack_size"], mine["stack_note"], mine["steps"]) == (3, None, 20) and alone[
            "stack_size"
        ] == 1
        for name in ("train_loss", "test_loss", "nll", "brier"):
            assert mine[name] == pytest.approx(alone[name], rel=1e-5), name
        own = safetensors.torch.load(alone["weights"])
        for name, weight in safetensors.torch.load(mine["weights"]).items():
            torch.testing.assert_close(weight, own[name], rtol=0, atol=1e-5)


def test_widths_are_not_padded_to_one_another(source: str):
    """The norms of GPT-2 would count the padding: such a stack is refused, and each trains as it
    does alone."""
    trials = tuple(trial(source, width=width, stop="epochs", max_epochs=1) for width in (8, 16))
    for mine, alone in zip(run(trials), run(*trials), strict=True):
        assert (
            mine["stack_size"] == 1
            and "another function" in mine["stack_note"]
            and mine["train_loss"] == alone["train_loss"]
        )


def test_a_plan_costs_every_cell(source: str):
    found = plan(sweep(source, grid="{width: [8, 16], context: [6, 8]}"), print)
    assert (found.trials, len(found.cells)) == (4, 4)
    for cell in found.cells:
        assert cell.d_ambient == 4 * cell.config["context"] and cell.params_per_token == cell.p / 60
        assert (
            cell.p == count_parameters(TASK.model(TextConfig.model_validate(cell.config))).trainable
        )


@pytest.fixture(scope="module")
def measured(source: str) -> tuple[Trial, dict[str, Any]]:
    asked = trial(source, max_epochs=4, n=64, context=5, width=8)
    (columns,) = run(asked, points=5)
    assert columns["status"] == "ok", columns["failure_message"]
    return asked, columns


def test_a_row_has_everything(measured: tuple[Trial, dict[str, Any]]):
    asked, c = measured
    assert set(c) - {"weights"} <= set(arrow_schema().names)
    assert (c["family"], c["n"], c["tokens_distinct"], c["d_ambient"], c["outputs"]) == (
        "gpt",
        64,
        64,
        20,
        256,
    )
    assert c["p_over_nd_ambient"] == c["p"] / (64 * 20) and c["params_per_token"] == c["p"] / 64
    assert (
        c["p"] == sum(group["trainable"] for group in c["params_by_group"]) and c["p_frozen"] == 0
    )
    assert (c["noise_kind"], c["eta"], c["sigma2"]) == ("target_resample", 0.3, None)
    assert c["epsilon"] == c["bayes_error"] / 2 == pytest.approx(0.3 * (1 - 1 / 256) / 2)
    assert c["isoperimetry"] == "assumed" and c["test_n"] == HELD_OUT and c["measure_points"] == 5
    for name in (
        "stability_attack_mean",
        "stability_first_order_mean",
        "lip_lower_jacobian",
        "lip_lower_pairs",
        "lip_mean_grad",
        "margin_mean",
        "lip_lower_logprob_jacobian",
        "lip_lower_residual",
        "nll",
        "ece",
        "brier",
        "d_twonn",
        "data_unit",
    ):
        assert c[name] is not None and c[name] == c[name], name
    assert (
        0 < c["stability_attack_mean"] <= c["stability_cap"]
        and c["lip_lower_jacobian"] <= c["lip_lower_pairs"]
    )
    assert c["nll"] == pytest.approx(c["test_loss"]) and c["gradient_of"] == "margin"


def test_noise_moves_probabilities_the_more_the_longer_it_is(
    measured: tuple[Trial, dict[str, Any]],
):
    kl = measured[1]["noise_kl"]
    assert (
        len(kl) == len(measured[1]["noise_radii"])
        and 0 < kl[0] < kl[-1]
        and all(k >= 0 for k in kl)
    )


def test_tokens_are_changed_at_every_distance(measured: tuple[Trial, dict[str, Any]]):
    found = {
        (change["kind"], change["distance"]): change for change in measured[1]["token_changes"]
    }
    assert set(found) == {(kind, d) for kind in ("replaced", "swapped", "typo") for d in (1, 2, 4)}
    assert found["replaced", 1]["kl"] > 0 and all(
        0 <= change["flip_rate"] <= 1 for change in found.values()
    )


# Instruments on a vocabulary, against brute force


def a_model(vocabulary: int, scale: float) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = WindowGPT(4, 16, 2, 2, 6, vocabulary)
        for p in model.parameters():
            p.data += scale * torch.randn(p.shape)
    return model.eval()


@pytest.mark.parametrize("vocabulary", [WHOLE_OUTPUTS + 1, 60])
@pytest.mark.parametrize("scale", [0.2, 0.5])
def test_margins_over_the_linear_distances_are_among_all_of_them(vocabulary: int, scale: float):
    model, x = (
        a_model(vocabulary, scale),
        torch.randn(12, 6, 4, generator=torch.Generator().manual_seed(1)),
    )
    whole = linearise(model, x)
    label, point = whole.outputs.argmax(1), torch.arange(12)[:, None]
    found = margins(model, x, label, vocabulary)
    assert (
        found.rivals is not None
        and found.rivals.shape == (12, 8)
        and not (found.rivals == label[:, None]).any()
    )
    torch.testing.assert_close(
        found.values, whole.outputs[point, label[:, None]] - whole.outputs[point, found.rivals]
    )
    gradients = whole.jacobian[point, label[:, None]] - whole.jacobian
    torch.testing.assert_close(
        found.gradients, gradients[point, found.rivals], rtol=1e-4, atol=1e-5
    )
    gap = whole.outputs.gather(1, label[:, None]) - whole.outputs
    exact = (gap / gradients.flatten(2).norm(dim=2)).nan_to_num(nan=torch.inf).amin(1)
    distance = linear_distance(found, slopes(found))
    assert bool((distance >= exact * (1 - 1e-4)).all()), "over fewer rivals it can only be larger"
    assert float(distance.mean()) <= 1.05 * float(exact.mean())


@pytest.mark.parametrize("scale", [0.2, 0.5])
@sdpa_kernel(SDPBackend.MATH)
def test_lanczos_norms_are_those_of_whole_jacobians(scale: float):
    model, x = a_model(40, scale), torch.randn(5, 6, 4, generator=torch.Generator().manual_seed(1))
    by_lanczos, whole = (
        local_norms(model, x, 40, on_sphere=False),
        local_norms_of(linearise(model, x), x, 40, on_sphere=False),
    )
    assert by_lanczos.logprobs is not None and whole.logprobs is not None
    torch.testing.assert_close(by_lanczos.outputs.norm, whole.outputs.norm, rtol=1e-3, atol=0)
    torch.testing.assert_close(by_lanczos.logprobs.norm, whole.logprobs.norm, rtol=1e-3, atol=0)
