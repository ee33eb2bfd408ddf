"""Windows of text in a model's embeddings, and the model as the instruments see it.

Run alone: python -m pytest tests/execution/test_embedded_windows.py
"""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

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
from harness.task import Data, Seeds
from tasks.gpt import stream_gpt

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
    """Documents of random tokens, each of `length`; token 0 separates them. `train` and `held_out`
    count the documents on either side."""
    draw = np.random.default_rng(0)

    def stream(documents: int) -> np.ndarray:
        tokens = draw.integers(1, VOCABULARY, (documents, length + 1)).astype(np.uint16)
        tokens[:, -1] = 0
        return tokens.flatten()

    return Corpus(stream(train), stream(held_out), VOCABULARY, 0, held_out * length, "made")


class Made(LanguageTask):
    """A task whose corpus is handed to it."""

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
    ("lengths", "length", "begins"),
    [
        ([7], 3, [0, 3]),
        ([3], 3, [0]),
        ([2], 3, []),
        ([7, 2, 6], 3, [0, 3, 11, 14]),
        ([0, 4, 0], 2, [1, 3]),
        ([5, 5], 5, [0, 6]),
    ],
)
def test_windows_begin_where_documents_do(lengths: list[int], length: int, begins: list[int]):
    tokens = np.concatenate([[*range(1, n + 1), 0] for n in lengths]).astype(np.uint16)
    assert window_begins(tokens, 0, length).tolist() == begins
    cut = windows(tokens, 0, length)
    assert cut.shape == (len(begins), length)
    assert not (cut == 0).any()
    for row, begin in zip(cut, begins, strict=True):
        assert (row == tokens[begin : begin + length]).all()


@pytest.mark.parametrize(("documents", "taken"), [(1, 3), (10, 30), (400, EMBEDDED_WINDOWS)])
def test_what_is_embedded(documents: int, taken: int):
    corpus = a_corpus(documents, documents)
    model = a_model()
    config = LanguageConfig(context=CONTEXT)

    def of_seed(seed: int) -> Data:
        return embedded(Made(corpus), config, corpus, model, Seeds(seed), CPU)

    data = of_seed(0)
    assert data.text is not None and not data.text.byte_tokens
    assert data.classes == VOCABULARY
    assert data.noise.kind == "none"
    assert data.x_train.shape == data.x_test.shape == (taken, CONTEXT, WIDTH)
    assert torch.equal(data.x_test, model.table()[data.text.tokens])
    assert not data.x_test.requires_grad

    all_windows = windows(corpus.held_out, 0, CONTEXT + 1).tolist()
    drawn = torch.cat([data.text.tokens, data.y_test[:, None]], dim=1).tolist()
    assert all(window in all_windows for window in drawn)
    assert len({tuple(window) for window in drawn}) == taken

    assert data.content_hash() == of_seed(0).content_hash()
    all_taken = taken == 3 * documents
    assert (data.content_hash() == of_seed(1).content_hash()) == all_taken


@pytest.mark.parametrize(("train", "held_out", "side"), [(5, 0, "held-out"), (0, 5, "training")])
def test_documents_shorter_than_a_window_are_one_sentence(train: int, held_out: int, side: str):
    long = a_corpus(5, 5)
    short = a_corpus(5, 5, length=CONTEXT)
    corpus = long._replace(
        train=(long if train else short).train, held_out=(long if held_out else short).held_out
    )
    sentence = (
        f"^the corpus has 0 {side} windows of 7 tokens that lie within one document, and measures"
        " need 2"
    )
    with pytest.raises(UserError, match=sentence):
        embedded(Made(corpus), LanguageConfig(context=CONTEXT), corpus, a_model(), Seeds(0), CPU)


# What the instruments see


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_last_position_is_the_models_own(tied: bool):
    model = a_model(tied)
    tokens = torch.randint(VOCABULARY, (5, CONTEXT), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(LastPosition(model)(model.table()[tokens]), model(tokens)[:, -1])


@pytest.mark.slow
@sdpa_kernel(SDPBackend.MATH)
def test_norms_through_fused_attention_are_those_of_whole_jacobians():
    """Lanczos needs forward derivatives, which the fused kernels lack: so `measure` runs attention
    as plain matmuls."""
    model = LastPosition(a_model())
    x = torch.randn(6, CONTEXT, WIDTH, generator=torch.Generator().manual_seed(1))
    found = local_norms(model, x, VOCABULARY, on_sphere=False)
    whole = local_norms_of(linearise(model, x), x, VOCABULARY, on_sphere=False)
    assert found.logprobs is not None and whole.logprobs is not None
    torch.testing.assert_close(found.outputs.norm, whole.outputs.norm, rtol=1e-3, atol=0)
    torch.testing.assert_close(found.logprobs.norm, whole.logprobs.norm, rtol=1e-3, atol=0)


# Groups of parameters


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
