"""The GPT-2 models: counts as published and by formula, the function they are, initial weights,
derivatives, ties."""

import copy
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.func import jvp, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import GPT2Config, GPT2LMHeadModel

from harness.language import CausalLM
from harness.measures.counts import Group, count_parameters, count_training_flops
from harness.training.stack import VmapStack, stack
from tasks.gpt import WindowGPT, size_of_depth, stream_gpt

LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY, D_IN = 2, 32, 4, 12, 50, 8


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return make()


def a_stream(tied: bool = True) -> CausalLM:
    return stream_gpt(LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY, tied)


def a_window() -> WindowGPT:
    return WindowGPT(D_IN, WIDTH, LAYERS, HEADS, CONTEXT, VOCABULARY)


def stock_gpt2(tied: bool) -> GPT2LMHeadModel:
    """transformers' own, as it comes, in evaluation mode."""
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=CONTEXT,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPT2LMHeadModel(config).eval()


def shaken(model: nn.Module) -> nn.Module:
    """At weights that are large enough for attention to be far from even, and with no bias zero."""
    for p in model.parameters():
        p.data += 0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    return model


def some_tokens(batch: int = 3) -> Tensor:
    return torch.randint(VOCABULARY, (batch, CONTEXT), generator=torch.Generator().manual_seed(1))


def some_windows(batch: int = 3) -> Tensor:
    return torch.randn(batch, CONTEXT, D_IN, generator=torch.Generator().manual_seed(2))


def body_groups(layers: int, width: int, context: int) -> set[Group]:
    """Everything but the tables of tokens."""
    attention = (width + 1) * 3 * width + (width + 1) * width
    mlp = (width + 1) * 4 * width + (4 * width + 1) * width
    norm = (2 * layers + 1) * 2 * width
    return {
        Group("position", context * width, 0),
        Group("attention", layers * attention, 0),
        Group("mlp", layers * mlp, 0),
        Group("norm", norm, 0),
    }


def body_size(layers: int, width: int, context: int) -> int:
    return sum(group.trainable for group in body_groups(layers, width, context))


@pytest.mark.parametrize(
    ("layers", "width", "heads", "published"),
    [
        (12, 768, 12, 124_439_808),
        (24, 1024, 16, 354_823_168),
        (36, 1280, 20, 774_030_080),
        (48, 1600, 25, 1_557_611_200),
    ],
)
def test_gpt2_counts_as_published(layers: int, width: int, heads: int, published: int):
    with torch.device("meta"):
        assert (
            count_parameters(stream_gpt(layers, width, heads, 1024, 50257)).trainable == published
        )


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize(("context", "vocabulary"), [(2, 256), (128, 256), (1024, 50257)])
@pytest.mark.parametrize(
    ("layers", "width", "heads"), [(1, 8, 1), (2, 32, 4), (5, 96, 6), (16, 1024, 16)]
)
def test_stream_counts_by_formula(
    layers: int, width: int, heads: int, context: int, vocabulary: int, tied: bool
):
    with torch.device("meta"):
        counts = count_parameters(stream_gpt(layers, width, heads, context, vocabulary, tied))
    assert (counts.trainable, counts.frozen) == (
        body_size(layers, width, context) + (2 - tied) * vocabulary * width,
        0,
    )


@pytest.mark.parametrize("d_in", [1, 64])
@pytest.mark.parametrize(("context", "vocabulary"), [(2, 256), (128, 256), (1024, 50257)])
@pytest.mark.parametrize(("layers", "width", "heads"), [(1, 8, 1), (2, 32, 4), (16, 1024, 16)])
def test_window_counts_by_formula(
    layers: int, width: int, heads: int, context: int, vocabulary: int, d_in: int
):
    with torch.device("meta"):
        counts = count_parameters(WindowGPT(d_in, width, layers, heads, context, vocabulary))
    embedding, head = Group("embedding", d_in * width, 0), Group("head", width * vocabulary, 0)
    assert set(counts.groups) == {embedding, head, *body_groups(layers, width, context)}
    assert counts.trainable == d_in * width + body_size(layers, width, context) + width * vocabulary


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_a_tied_table_is_an_embedding_and_no_head(tied: bool):
    with torch.device("meta"):
        counts = count_parameters(stream_gpt(2, 32, 4, 128, 256, tied))
    tables = (
        {Group("embedding", 256 * 32, 0)}
        if tied
        else {Group("embedding", 256 * 32, 0), Group("head", 256 * 32, 0)}
    )
    assert set(counts.groups) == tables | body_groups(2, 32, 128)


DEPTHS = {
    1: (16, 2, 9_456),
    2: (32, 4, 37_760),
    4: (64, 4, 224_640),
    8: (256, 4, 6_416_896),
    12: (576, 9, 48_087_936),
    16: (1024, 16, 201_934_848),
    20: (1280, 20, 394_042_880),
    28: (1792, 28, 1_080_328_704),
}


@pytest.mark.parametrize(
    ("depth", "width", "heads", "parameters"), [(d, *row) for d, row in DEPTHS.items()]
)
def test_one_dial_sets_the_size(depth: int, width: int, heads: int, parameters: int):
    assert size_of_depth(depth) == (width, heads)
    with torch.device("meta"):
        assert count_parameters(stream_gpt(depth, width, heads, 128, 256)).trainable == parameters
    assert f"| {depth:>5} | {width:>5} | {heads:>5} | {parameters:>13,}".replace(",", " ") in (
        size_of_depth.__doc__ or ""
    )


def test_every_depth_is_wider_than_the_one_before_and_its_heads_have_a_sensible_size():
    sizes = [size_of_depth(depth) for depth in range(1, 129)]
    assert all(a[0] < b[0] for a, b in zip(sizes, sizes[1:], strict=False))
    for depth, (width, heads) in enumerate(sizes, start=1):
        assert width % heads == 0 and width // heads in (8, 16, 32, 64)
        assert 16 * depth <= width * 1.1 and width <= 64 * depth * 1.1


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_function_is_gpt2s(tied: bool):
    ours = shaken(seeded(lambda: a_stream(tied)))
    stock = stock_gpt2(tied)
    assert isinstance(ours, CausalLM)
    stock.load_state_dict(ours.transformer.state_dict())
    logits = ours.eval()(some_tokens())
    assert logits.shape == (3, CONTEXT, VOCABULARY)
    torch.testing.assert_close(logits, stock(some_tokens()).logits, atol=2e-5, rtol=1e-5)


def test_logits_after_the_last_embedding_are_those_after_the_last_token():
    model, tokens = shaken(seeded(a_stream)), some_tokens()
    assert isinstance(model, CausalLM)
    assert model.table().shape == (VOCABULARY, WIDTH)
    torch.testing.assert_close(model.last(model.table()[tokens]), model(tokens)[:, -1])


def test_a_window_of_one_hot_tokens_is_the_stream_model_at_its_last_position():
    stream, tokens = shaken(seeded(lambda: a_stream(tied=False))), some_tokens()
    window = WindowGPT(VOCABULARY, WIDTH, LAYERS, HEADS, CONTEXT, VOCABULARY)
    assert isinstance(stream, CausalLM)
    own = {
        name.removeprefix("transformer."): p for name, p in stream.transformer.state_dict().items()
    }
    window.projection.weight.data = own.pop("wte.weight").T
    window.head.weight.data = own.pop("lm_head.weight")
    window.body.load_state_dict(own)
    one_hot = nn.functional.one_hot(tokens, VOCABULARY).float()
    torch.testing.assert_close(window(one_hot), stream(tokens)[:, -1])


@pytest.mark.parametrize("changed", [0, 1, 5, CONTEXT - 1])
def test_a_token_changes_no_logits_before_it_and_all_from_it_on(changed: int):
    model, tokens = shaken(seeded(a_stream)), some_tokens()
    other = tokens.clone()
    other[:, changed] = (other[:, changed] + 1) % VOCABULARY
    moved = (model(tokens) - model(other)).abs().amax((0, 2))
    assert not moved[:changed].any() and bool((moved[changed:] > 1e-4).all())


def test_every_token_of_a_window_counts_and_no_other_window_does():
    model, x = shaken(seeded(a_window)), some_windows().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[0].square().sum(), x)
    assert bool((gradient[0].norm(dim=1) > 1e-4).all()) and not gradient[1:].any()
    torch.testing.assert_close(model(x), torch.cat([model(window[None]) for window in x]))


@pytest.mark.parametrize(
    "make", [a_stream, lambda: a_stream(False), a_window], ids=["tied", "untied", "window"]
)
def test_initial_weights_are_gpt2s(make: Callable[[], nn.Module]):
    for name, p in seeded(make).named_parameters():
        if p.dim() == 1:
            assert bool(
                (p == (1.0 if ".ln_" in name and name.endswith("weight") else 0.0)).all()
            ), name
        else:
            std = 0.02 / (2 * LAYERS) ** 0.5 if name.endswith("c_proj.weight") else 0.02
            error = std / p.numel() ** 0.5
            assert (
                abs(p.mean().item()) < 4 * error and abs(p.std().item() - std) < 4 * error / 2**0.5
            ), name


@pytest.mark.parametrize("make", [a_stream, a_window], ids=["stream", "window"])
def test_torchs_seed_sets_the_initial_weights(make: Callable[[], nn.Module]):
    first, same, other = (list(seeded(make, seed).parameters()) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_every_parameter_is_used():
    for model, x in (
        (a_stream(), some_tokens()),
        (a_stream(False), some_tokens()),
        (a_window(), some_windows()),
    ):
        shaken(model)(x).square().sum().backward()
        assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_weights_go_to_safetensors_and_back(tied: bool, tmp_path):
    path = str(tmp_path / "model.safetensors")
    model, other = shaken(seeded(lambda: a_stream(tied))), seeded(lambda: a_stream(tied), 1)
    save_model(model, path)
    load_model(other, path)
    assert torch.equal(model(some_tokens()), other(some_tokens()))
    for each in (model, other):
        assert isinstance(each, CausalLM) and isinstance(each.transformer, GPT2LMHeadModel)
        assert (
            each.transformer.lm_head.weight is each.transformer.get_input_embeddings().weight
        ) == tied


def test_a_step_moves_tied_weights_together():
    model = seeded(a_stream)
    assert isinstance(model, CausalLM) and isinstance(model.transformer, GPT2LMHeadModel)
    before = model.table().detach().clone()
    model(some_tokens()).square().sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert not torch.equal(model.table(), before) and torch.equal(
        model.transformer.lm_head.weight, model.table()
    )


def of_embeddings(kind: str) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """A model as the instruments see it, in double precision, and points."""
    if kind == "window":
        model = shaken(seeded(a_window)).double()
        return model, some_windows(2).double()
    model = shaken(seeded(a_stream)).double()
    assert isinstance(model, CausalLM)
    return model.last, model.table().detach()[some_tokens(2)]


@pytest.mark.parametrize("kind", ["window", "stream"])
def test_derivatives_of_both_kinds_and_of_second_order_exist_and_are_right(kind: str):
    f, x = of_embeddings(kind)
    with torch.no_grad():
        fused = f(x)
    v, u = (
        torch.randn(x.shape, generator=torch.Generator().manual_seed(3)).to(x),
        torch.ones_like(fused),
    )
    with sdpa_kernel(SDPBackend.MATH):
        y, along = jvp(f, (x,), (v,))[:2]
        torch.testing.assert_close(y, fused)
        torch.testing.assert_close(
            along, (f(x + 1e-6 * v) - f(x - 1e-6 * v)) / 2e-6, rtol=1e-5, atol=1e-6
        )
        (back,) = vjp(f, x)[1](u)
        torch.testing.assert_close((back * v).sum(), (along * u).sum())

        def gradient(at: Tensor) -> Tensor:
            at = at.detach().requires_grad_()
            return torch.autograd.grad(f(at).sum(), at, create_graph=True)[0]

        at = x.clone().requires_grad_()
        (g,) = torch.autograd.grad(f(at).sum(), at, create_graph=True)
        (second,) = torch.autograd.grad((g * v).sum(), at)
        expected = (gradient(x + 1e-6 * v) - gradient(x - 1e-6 * v)) / 2e-6
        torch.testing.assert_close(second, expected.detach(), rtol=1e-4, atol=1e-5)


def test_models_of_windows_train_as_one_program():
    models = [shaken(seeded(a_window, seed)) for seed in range(3)]
    alone = [copy.deepcopy(model) for model in models]
    program = stack(models, some_windows(2))
    assert isinstance(program, VmapStack)
    outputs = program(some_windows()[None])
    gradients = torch.autograd.grad(outputs.square().sum(), list(program.parameters.values()))
    for m, model in enumerate(alone):
        own = model(some_windows())
        torch.testing.assert_close(outputs[m], own, atol=1e-5, rtol=1e-4)
        its = torch.autograd.grad(own.square().sum(), list(model.parameters()))
        for a, b in zip(gradients, its, strict=True):
            torch.testing.assert_close(a[m], b, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("dropout", "varies"), [(0.0, False), (0.3, True)])
def test_dropout_is_on_in_training_alone(dropout: float, varies: bool):
    torch.manual_seed(0)
    model, tokens = (
        stream_gpt(LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY, dropout=dropout),
        some_tokens(),
    )
    still = model.eval()(tokens)
    assert torch.equal(still, model(tokens))
    assert torch.equal(model.train()(tokens), still) != varies


class Names(TorchDispatchMode):
    """The names of all operations that run inside."""

    def __init__(self):
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("make", [a_stream, a_window], ids=["stream", "window"])
def test_a_forward_pass_waits_for_no_device_and_builds_no_mask(make: Callable[[], nn.Module]):
    model = make()
    with Names() as names:
        model(some_windows() if isinstance(model, WindowGPT) else some_tokens())
    assert "addmm" in names.seen and not names.seen & {
        "_local_scalar_dense",
        "cumsum",
        "where",
        "tanh",
        "pow",
    }


def test_stocks_forward_pass_does_both():
    """So that the test above looks at the right names."""
    stock = stock_gpt2(tied=True)
    with Names() as names:
        stock(some_tokens(), use_cache=False)
    assert names.seen >= {"_local_scalar_dense", "cumsum", "tanh", "pow"}


@pytest.mark.parametrize("make", [a_stream, a_window], ids=["stream", "window"])
def test_a_compiler_gets_the_whole_model(make: Callable[[], nn.Module]):
    model = shaken(seeded(make))
    x = some_windows() if isinstance(model, WindowGPT) else some_tokens()
    torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(x), model(x))


@pytest.mark.parametrize("make", [a_stream, a_window], ids=["stream", "window"])
def test_models_run_on_the_meta_device(make: Callable[[], nn.Module]):
    with torch.device("meta"):
        model = make()
    x = (some_windows() if isinstance(model, WindowGPT) else some_tokens()).to("meta")
    assert model(x).shape[-1] == VOCABULARY and model(x).device.type == "meta"


def test_flops_of_a_window_model_by_formula():
    with torch.device("meta"):
        model = a_window()
    matrices = CONTEXT * (D_IN * WIDTH + LAYERS * 12 * WIDTH**2) + WIDTH * VOCABULARY
    attention = LAYERS * 2 * CONTEXT**2 * WIDTH
    without_input = 2 * CONTEXT * D_IN * WIDTH
    assert count_training_flops(model, (CONTEXT, D_IN)) == pytest.approx(
        2 * 3 * (matrices + attention) - without_input, rel=0.1
    )


def test_transformers_has_nothing_to_say(capfd: pytest.CaptureFixture[str]):
    for model, x in (
        (a_stream(), some_tokens()),
        (a_stream(False), some_tokens()),
        (a_window(), some_windows()),
    ):
        model(x).sum().backward()
    assert capfd.readouterr() == ("", "")
