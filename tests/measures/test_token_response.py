"""Responses to changed tokens: of models whose responses are known, and how a model is called.

Run alone: python -m pytest tests/measures/test_token_response.py
"""

import math

import pytest
import torch
from torch import Tensor

from harness.measures import token_changes as instrument
from harness.measures.token_changes import TokenResponse, token_changes, token_response
from harness.task import Text
from harness.training.stack import Model
from tests.measures.token_windows import generator, text


def respond(
    model: Model, about: Text, y: Tensor | None = None, seed: int = 0
) -> dict[tuple[str, int], TokenResponse]:
    rows = torch.arange(len(about.tokens))
    y = about.tokens[:, -1] if y is None else y
    return {(r.kind, r.distance): r for r in token_response(model, about, rows, y, generator(seed))}


def weighted(weights: list[float] | Tensor) -> Model:
    """Return a model whose logit of a token is the sum of the weights of the places where the token
    stands."""
    return lambda x: (x * torch.as_tensor(weights)[:, None]).sum(1)


# Models with known answers


@pytest.mark.parametrize("byte_tokens", [False, True])
@pytest.mark.parametrize("size", [4096, 7])
def test_a_model_that_reads_only_the_last_token_responds_only_at_distance_one(
    byte_tokens: bool, size: int, monkeypatch
):
    """The model predicts the token that it reads, and a swap reaches the last token only from
    distance 1. This holds for calls of any size."""
    monkeypatch.setattr(instrument, "NUMBERS", size * 200 * 8)
    about = text(64, 8, 200, byte_tokens=byte_tokens)
    about.tokens[:10, -2] = about.tokens[:10, -1]
    found = respond(lambda x: 3 * x[:, -1], about)
    p = math.exp(3) / (math.exp(3) + 199)
    # both distributions have one normaliser: what remains is 3 (p of the old − p of the new)
    kl = 3 * (p - 1 / (math.exp(3) + 199))
    unmoved = float((about.tokens[:, -2] == about.tokens[:, -1]).double().mean())

    assert unmoved >= 10 / 64
    for (kind, distance), r in found.items():
        changed = 0.0 if distance > 1 else 1.0 if kind != "swapped" else 1 - unmoved
        assert (r.accuracy, r.flip_rate) == (1 - changed, changed)
        assert r.accuracy_se == pytest.approx(math.sqrt(changed * (1 - changed) / 64))
        assert r.kl == pytest.approx(changed * kl, rel=1e-5) and (
            changed or (r.kl == r.kl_se == 0.0)
        )


@pytest.mark.parametrize(
    "weights", [[1.0, 0.5, 0.25, 2.0], [0.0, 3.0, -1.0, 0.5], [1e-3, 0.1, 10.0, 1.0]]
)
def test_divergence_of_a_weighted_bag_of_two_tokens_by_hand(weights: list[float]):
    """With two tokens the other token is the only replacement: the log-odds s = Σ ± w become s −
    2(±w) at the changed place, and a swap exchanges two terms. KL = Σ p log(p/q) of two Bernoulli
    distributions."""
    about = text(100, 4, 2)
    y = torch.randint(2, (100,), generator=generator(1))
    found = respond(weighted(weights), about, y)
    assert set(found) == {
        ("replaced", 1),
        ("replaced", 2),
        ("replaced", 4),
        ("swapped", 1),
        ("swapped", 2),
    }

    def odds(window: list[int]) -> float:
        return sum(w if token else -w for w, token in zip(weights, window, strict=True))

    for (kind, distance), r in found.items():
        kls, hits, flips = [], [], []
        for window, target in zip(about.tokens.tolist(), y.tolist(), strict=True):
            other, at = list(window), 4 - distance
            if kind == "replaced":
                other[at] = 1 - other[at]
            else:
                other[at - 1], other[at] = other[at], other[at - 1]
            p, q = (1 / (1 + math.exp(-odds(w))) for w in (window, other))
            kls.append(p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
            hits.append((odds(other) > 1e-6) == bool(target))
            flips.append((odds(other) > 1e-6) != (odds(window) > 1e-6))
        values = torch.tensor(kls, dtype=torch.double)
        assert r.kl == pytest.approx(float(values.mean()), rel=1e-4, abs=1e-9)
        assert r.kl_se == pytest.approx(float(values.std()) / 10, rel=1e-4, abs=1e-9)
        accuracy = sum(hits) / 100
        assert (r.accuracy, r.accuracy_se) == pytest.approx(
            (accuracy, math.sqrt(accuracy * (1 - accuracy) / 100))
        )
        assert r.flip_rate == pytest.approx(sum(flips) / 100)


def test_divergence_of_a_weighted_bag_of_many_tokens():
    """The windows are changed again with the same seed, and their probabilities summed one by
    one."""
    about, weights = text(30, 5, 12), [0.3, 1.0, -0.5, 2.0, 1.5]
    found = respond(weighted(weights), about, seed=3)

    def probabilities(window: list[int]) -> list[float]:
        logits = [
            sum(w for w, t in zip(weights, window, strict=True) if t == token)
            for token in range(12)
        ]
        total = sum(map(math.exp, logits))
        return [math.exp(z) / total for z in logits]

    for change in token_changes(about, torch.arange(30), generator(3)):
        kls = [
            sum(
                p * math.log(p / q)
                for p, q in zip(probabilities(before), probabilities(after), strict=True)
            )
            for before, after in zip(about.tokens.tolist(), change.tokens.tolist(), strict=True)
        ]
        assert found[change.kind, change.distance].kl == pytest.approx(sum(kls) / 30, rel=1e-5)


def test_a_model_blind_to_order_does_not_respond_to_swaps():
    found = respond(weighted([1.0] * 16), text(40, 16, 6))
    for (kind, _), r in found.items():
        assert (
            (r.kl == r.kl_se == r.flip_rate == 0.0)
            if kind == "swapped"
            else (r.kl > 0.01 and r.flip_rate > 0)
        )


def test_responses_fade_with_the_weights():
    found = respond(weighted([0.5**d for d in range(32, 0, -1)]), text(500, 32, 20))
    kls = [found["replaced", d].kl for d in (1, 2, 4, 8, 16, 32)]
    assert all(near > 3 * far for near, far in zip(kls, kls[1:], strict=False))


@pytest.mark.slow
def test_standard_errors_are_the_spread_over_fresh_windows():
    """They agree within 15 % over 300 draws of windows, targets and changes."""
    model = weighted([0.2, 1.0, 0.5, 2.0])
    found = [
        respond(
            model,
            text(100, 4, 5, seed=s),
            torch.randint(5, (100,), generator=generator(s)),
            seed=1000 + s,
        )
        for s in range(200, 500)
    ]
    for change in (("replaced", 1), ("swapped", 1), ("replaced", 4)):
        for name in ("accuracy", "kl"):
            values, errors = (
                torch.tensor([getattr(f[change], c) for f in found]) for c in (name, f"{name}_se")
            )
            assert float(errors.mean()) == pytest.approx(float(values.std()), rel=0.15), (
                change,
                name,
            )


def test_a_single_window_has_no_standard_error_of_its_divergence():
    r, *_ = respond(
        weighted([1.0, 2.0]), text(5, 2, 9)._replace(tokens=torch.tensor([[3, 4]]))
    ).values()
    assert r.kl > 0 and math.isnan(r.kl_se)


# How the model is called


def test_inputs_are_embedded_tokens():
    about, seen = Text(torch.tensor([[2, 0, 1]]), torch.randn(3, 4, generator=generator(5))), []

    def model(x: Tensor) -> Tensor:
        seen.append(x)
        return x[:, -1]

    respond(model, about, torch.tensor([0]))
    torch.testing.assert_close(seen[0], about.table[about.tokens])
    assert all(x.shape[1:] == (3, 4) for x in seen) and sum(map(len, seen)) == 1 + len(
        token_changes(about, torch.tensor([0]), generator())
    )


def test_a_call_holds_no_more_than_its_numbers(monkeypatch):
    monkeypatch.setattr(instrument, "NUMBERS", 5 * 6 * 9)
    sizes = []

    def model(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x.sum(1)

    respond(model, text(13, 6, 9))
    assert max(sizes) == 5 and sum(sizes) == 13 * (1 + 3 + 3)


def test_no_gradient_is_kept():
    kept = []

    def model(x: Tensor) -> Tensor:
        kept.append(torch.is_grad_enabled())
        return x.sum(1)

    respond(model, text(3, 4, 5)._replace(table=torch.eye(5, requires_grad=True)))
    assert kept and not any(kept)


def test_changes_depend_on_the_generator_and_not_on_the_model():
    about = text(40, 8, 200, byte_tokens=True)
    one, again, other = (
        [c.tokens for c in token_changes(about, torch.arange(40), generator(s))] for s in (0, 0, 1)
    )

    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert [torch.equal(a, b) for a, b in zip(one, other, strict=True)] == [False] * 4 + [
        True
    ] * 3 + [False] * 4

    model = weighted([1.0] * 7 + [3.0])
    assert respond(model, about) == respond(model, about) != respond(model, about, seed=1)


def test_rows_select_windows():
    about, model = text(20, 4, 7), weighted([0.5, 1.0, 2.0, 4.0])
    rows = torch.tensor([17, 3, 3, 8])
    picked = Text(about.tokens[rows], about.table)
    y = torch.tensor([1, 2, 3, 4])

    assert set(about.tokens.unique().tolist()) == set(range(7))
    swapped = [r for r in token_response(model, about, rows, y, generator()) if r.kind == "swapped"]
    assert swapped == [
        r
        for r in token_response(model, picked, torch.arange(4), y, generator())
        if r.kind == "swapped"
    ]
