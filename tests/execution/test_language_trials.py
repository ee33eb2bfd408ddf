"""A language model's way through: what is embedded for the instruments, what they see, and
measuring kept weights again."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from harness.cli import main
from harness.errors import UserError
from harness.execution.embedded_windows import EMBEDDED_WINDOWS, LastPosition, embedded
from harness.language import (
    Corpus,
    LanguageConfig,
    LanguageTask,
    transformer_group,
    window_begins,
    windows,
)
from harness.measures.jacobian import linearise, local_norms, local_norms_of
from harness.store.store import Store, latest
from harness.task import Seeds
from tasks.gpt import stream_gpt
from tests.tasks.test_text import run, write_texts
from tests.tasks.test_text_stream import trial

CPU = torch.device("cpu")
VOCABULARY, CONTEXT, WIDTH = 40, 6, 16


def a_model(tied: bool = True):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = stream_gpt(2, WIDTH, 4, CONTEXT, VOCABULARY, tied)
        for p in model.parameters():
            p.data += 0.2 * torch.randn(p.shape)
    return model.eval()


def a_corpus(train: int, held_out: int, length: int = 21) -> Corpus:
    """So many documents of random tokens on either side, each of that length; token 0 separates
    them."""
    draw = np.random.default_rng(0)

    def stream(documents: int) -> np.ndarray:
        tokens = draw.integers(1, VOCABULARY, (documents, length + 1)).astype(np.uint16)
        tokens[:, -1] = 0
        return tokens.flatten()

    return Corpus(stream(train), stream(held_out), VOCABULARY, 0, held_out * length, "made")


class Made(LanguageTask):
    """A task that gives what it was made of."""

    Config = LanguageConfig

    def __init__(self, corpus: Corpus):
        self.made = corpus

    def corpus(self, config: LanguageConfig) -> Corpus:
        return self.made

    def model(self, config: LanguageConfig):
        return a_model()

    def width(self, config: LanguageConfig) -> int:
        return WIDTH


# Windows


@pytest.mark.parametrize(
    ("lengths", "length", "found"),
    [
        ([7], 3, [0, 3]),
        ([3], 3, [0]),
        ([2], 3, []),
        ([7, 2, 6], 3, [0, 3, 11, 14]),
        ([0, 4, 0], 2, [1, 3]),
        ([5, 5], 5, [0, 6]),
    ],
)
def test_windows_begin_where_documents_do(lengths: list[int], length: int, found: list[int]):
    tokens = np.concatenate([[*range(1, n + 1), 0] for n in lengths]).astype(np.uint16)
    assert window_begins(tokens, 0, length).tolist() == found
    cut = windows(tokens, 0, length)
    assert cut.shape == (len(found), length) and not (cut == 0).any()
    assert all((row == tokens[at : at + length]).all() for row, at in zip(cut, found, strict=True))


@pytest.mark.parametrize(("documents", "taken"), [(1, 3), (10, 30), (400, EMBEDDED_WINDOWS)])
def test_what_is_embedded(documents: int, taken: int):
    corpus, model, config = (
        a_corpus(documents, documents),
        a_model(),
        LanguageConfig(context=CONTEXT),
    )
    data = embedded(Made(corpus), config, corpus, model, Seeds(0), CPU)
    assert (
        data.text is not None
        and not data.text.byte_tokens
        and data.classes == VOCABULARY
        and data.noise.kind == "none"
    )
    assert data.x_train.shape == data.x_test.shape == (taken, CONTEXT, WIDTH)
    assert (
        torch.equal(data.x_test, model.table()[data.text.tokens]) and not data.x_test.requires_grad
    )
    whole = windows(corpus.held_out, 0, CONTEXT + 1).tolist()
    drawn = torch.cat([data.text.tokens, data.y_test[:, None]], dim=1).tolist()
    assert all(window in whole for window in drawn) and len({tuple(w) for w in drawn}) == taken
    again, other = (
        embedded(Made(corpus), config, corpus, model, Seeds(seed), CPU) for seed in (0, 1)
    )
    assert data.content_hash() == again.content_hash() and (
        data.content_hash() == other.content_hash()
    ) == (taken == 3 * documents)


@pytest.mark.parametrize(("train", "held_out", "side"), [(5, 0, "held-out"), (0, 5, "training")])
def test_documents_shorter_than_a_window_are_one_sentence(train: int, held_out: int, side: str):
    long, short = a_corpus(5, 5), a_corpus(5, 5, length=CONTEXT)
    corpus = long._replace(
        train=(long if train else short).train, held_out=(long if held_out else short).held_out
    )
    with pytest.raises(
        UserError,
        match=(
            f"^the corpus has 0 {side} windows of 7 tokens that lie within one document, and"
            " measures need 2"
        ),
    ):
        embedded(Made(corpus), LanguageConfig(context=CONTEXT), corpus, a_model(), Seeds(0), CPU)


def test_a_trial_of_short_documents_is_a_row_that_says_so(tmp_path: Path):
    source = write_texts(tmp_path / "texts", documents=60, words=4)
    (columns,) = run(trial(source, n=4, context=64), points=2)
    assert (
        columns["status"] == "failed"
        and "windows of 65 tokens that lie within one document" in columns["failure_message"]
    )


# What the instruments see


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_last_position_is_the_models_own(tied: bool):
    model = a_model(tied)
    tokens = torch.randint(VOCABULARY, (5, CONTEXT), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(LastPosition(model)(model.table()[tokens]), model(tokens)[:, -1])


@sdpa_kernel(SDPBackend.MATH)
def test_norms_through_fused_attention_are_those_of_whole_jacobians():
    """Lanczos needs forward derivatives, which the fused kernel has not: so `measure` runs
    attention as plain matmuls."""
    model = LastPosition(a_model())
    x = torch.randn(6, CONTEXT, WIDTH, generator=torch.Generator().manual_seed(1))
    found, whole = (
        local_norms(model, x, VOCABULARY, on_sphere=False),
        local_norms_of(linearise(model, x), x, VOCABULARY, on_sphere=False),
    )
    assert found.logprobs is not None and whole.logprobs is not None
    torch.testing.assert_close(found.outputs.norm, whole.outputs.norm, rtol=1e-3, atol=0)
    torch.testing.assert_close(found.logprobs.norm, whole.logprobs.norm, rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("transformer.transformer.wte.weight", "embedding"),
        ("transformer.transformer.wpe.weight", "position"),
        ("transformer.transformer.h.3.ln_1.bias", "norm"),
        ("transformer.transformer.h.3.mlp.c_fc.weight", "mlp"),
        ("transformer.gpt_neox.embed_in.weight", "embedding"),
        ("transformer.gpt_neox.layers.0.attention.query_key_value.weight", "attention"),
        ("transformer.gpt_neox.layers.0.attention.dense.weight", "attention"),
        ("transformer.gpt_neox.layers.0.post_attention_layernorm.weight", "norm"),
        ("transformer.gpt_neox.layers.0.mlp.dense_h_to_4h.weight", "mlp"),
        ("transformer.embed_out.weight", "head"),
        ("transformer.lm_head.weight", "head"),
        ("transformer.model.layers.0.self_attn.q_proj.weight", "attention"),
        ("transformer.model.layers.0.mlp.gate_proj.weight", "mlp"),
        ("transformer.model.layers.0.input_layernorm.weight", "norm"),
        ("transformer.model.norm.weight", "norm"),
        ("transformer.model.embed_tokens.weight", "embedding"),
        ("transformer.model.decoder.embed_positions.weight", "position"),
        ("transformer.model.decoder.layers.0.fc1.weight", "mlp"),
        ("transformer.model.decoder.layers.0.self_attn_layer_norm.weight", "norm"),
    ],
)
def test_groups_of_parameters(name: str, group: str):
    assert transformer_group(name) == group


# A store, and measuring it again

SWEEP = """
name: stream
seeds: [0]
limits: {{measure_points: 3}}
tasks:
  - task: text-stream
    fixed: {{source: "{source}", n: 64, context: 8, batch_size: 8, depth: 1}}
"""


def unilaw(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["unilaw", *arguments])
        try:
            main()
        except SystemExit as e:
            return int(e.code or 0)
    return 0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    (folder / "stream.yaml").write_text(
        SWEEP.format(source=write_texts(folder / "texts", documents=40, words=200))
    )
    assert (
        unilaw("run", str(folder / "stream.yaml"), "--inline", "--store", str(folder / "rows")) == 0
    )
    return folder / "rows"


def row(store: Path) -> dict[str, Any]:
    (found,) = latest(Store.open(store).read().rows).to_dict("records")
    return {str(name): value for name, value in found.items()}


def test_what_is_measured_in_the_space_of_embeddings(store: Path):
    c = row(store)
    assert (c["status"], c["measure_points"], c["d_ambient"]) == ("ok", 3, 8 * 16)
    for name in (
        "stability_attack_mean",
        "stability_first_order_mean",
        "lip_lower_jacobian",
        "lip_lower_pairs",
        "lip_mean_grad",
        "lip_lower_logprob_pairs",
        "margin_mean",
        "d_participation",
        "d_twonn",
        "data_unit",
        "pair_distance_mean",
    ):
        assert math.isfinite(c[name]), name
    assert c["p_over_nd_participation"] == pytest.approx(c["p"] / (64 * c["d_participation"]))
    assert 0 < c["noise_kl"][0] < c["noise_kl"][-1] and c["lip_lower_residual"] < 0.1
    assert {(change["kind"], change["distance"]) for change in c["token_changes"]} == {
        (kind, d)
        for kind in ("replaced", "swapped", "typo")
        for d in (1, 2, 4, 8)
        if d < 8 or kind != "swapped"
    }
    assert c["test_n"] % 8 == 0 and c["test_n"] > 100, (
        "every position of held-out text, not the windows embedded"
    )
    assert pd.isna(c["lip_upper_product"]) and c["lip_upper_note"]
    assert pd.isna(c["last_word_accuracy"]) and c["weights_file"]


def test_measured_again_it_says_the_same(store: Path):
    before = row(store)
    assert unilaw("measure", str(store), "--again", "--points", "3", "--inline") == 0
    after = row(store)
    assert pd.notna(after["measured_at"]) and pd.isna(before["measured_at"])
    for name in (
        "test_loss",
        "test_loss_se",
        "bits_per_byte",
        "test_accuracy",
        "ece",
        "stability_attack_mean",
        "lip_lower_pairs",
        "lip_mean_jacobian",
        "d_participation",
        "p_over_nd_ambient",
        "p_over_nd_twonn",
        "data_unit",
        "margin_mean",
    ):
        assert after[name] == pytest.approx(before[name], rel=1e-5), name
    for name in (
        "trial_id",
        "p",
        "train_loss",
        "tokens_distinct",
        "tokens_seen",
        "flops",
        "steps",
        "data_hash",
        "weights_file",
        "outputs",
    ):
        assert after[name] == before[name], name
    assert [c["kl"] for c in after["token_changes"]] == pytest.approx(
        [c["kl"] for c in before["token_changes"]], rel=1e-3, abs=1e-9
    )
    assert len(after["loss_curve"]) == len(before["loss_curve"]) == 8


def test_status_and_report_know_language_models(store: Path, capsys: pytest.CaptureFixture[str]):
    assert unilaw("status", str(store)) == 0 and "text-stream" in capsys.readouterr().out
    assert unilaw("report", str(store), "-o", str(store.parent / "report.html")) == 0
    assert "text-stream" in (store.parent / "report.html").read_text()
