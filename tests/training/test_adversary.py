"""The adversary: exact answers on linear models, ball and box, models of a stack as alone, and
what it trains."""

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.noise import resample_labels
from harness.task import Config, Data, Seeds
from harness.training.adversary import Adversary, adversary_of, count_pass_flops, perturb
from harness.training.evaluation import sample_losses, wrong
from harness.training.loop import Fit, StackGroup, train
from harness.training.stack import Alone, Program, stack
from tasks.mnist import Mnist, MnistConfig
from tasks.models import mlp

D, UNIT_BOX = 12, (0.0, 1.0)
FGSM = Adversary(radius=0.3, steps=1, step_size=0.3, random_start=False)
PGD = Adversary(radius=0.3, steps=10, step_size=0.075, random_start=True)
BOXES = [None, UNIT_BOX, (-0.5, 2.0)]


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def pixels(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def starts(rows: int) -> list[torch.Generator]:
    return [Seeds(seed).generator("adversary") for seed in range(rows)]


def moved(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    classes: int | None,
    how: Adversary,
    box: tuple[float, float] | None,
) -> Tensor:
    """The adversarial inputs of one model, (B, *shape)."""
    return perturb(
        Alone(model), x[None], 1, partial(sample_losses, y=y, classes=classes), how, box, starts(1)
    )[0]


def losses(model: nn.Module, x: Tensor, y: Tensor, classes: int | None) -> Tensor:
    with torch.no_grad():
        return sample_losses(model(x), y, classes)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("radius", [0.01, 0.3, 2.0])
@pytest.mark.parametrize("classes", [None, 2, 5])
def test_fgsm_on_a_linear_model_is_the_gradients_sign(
    classes: int | None, radius: float, box: tuple[float, float] | None
):
    model, x = seeded(lambda: nn.Linear(D, classes or 1)), pixels(20, D)
    assert isinstance(model, nn.Linear)
    with torch.no_grad():
        output, weight = model(x), model.weight
        if classes is None:
            y = torch.where(torch.arange(20) % 2 == 0, 1.0, -1.0)
            gradient = 2 * (output - y[:, None]) * weight
        else:
            y = torch.arange(20) % classes
            gradient = (output.softmax(1) - torch.eye(classes)[y]) @ weight
        expected = x + radius * gradient.sign()
        if box:
            expected = expected.clamp(*box)
    found = moved(model, x, y, classes, Adversary(radius, 1, radius, random_start=False), box)
    assert torch.equal(found, expected)


FLAT: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(D, 3),
    "mlp": lambda: mlp(D, 16, 2, 3),
}


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.parametrize("model", FLAT)
def test_pgd_stays_in_the_ball_and_in_the_box(
    model: str, steps: int, box: tuple[float, float] | None
):
    x, y = pixels(50, D), torch.arange(50) % 3
    found = moved(seeded(FLAT[model]), x, y, 3, PGD._replace(steps=steps, step_size=0.2), box)
    assert float((found - x).abs().max()) <= PGD.radius + 1e-6
    if box:
        assert box[0] <= float(found.min()) and float(found.max()) <= box[1]
    assert not torch.equal(found, x) and not found.requires_grad


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("label", [-1.0, 1.0])
def test_pgd_reaches_the_corner_of_a_linear_models_ball(
    label: float, box: tuple[float, float] | None
):
    """The loss is convex in x and its gradient's sign the same everywhere: f stays on one side
    of the label."""
    model, x, y = seeded(lambda: nn.Linear(D, 1)), pixels(20, D), torch.full((20,), label)
    assert isinstance(model, nn.Linear)
    with torch.no_grad():
        model.bias.fill_(100.0)
        corner = x + PGD.radius * model.weight.sign()
        if box:
            corner = corner.clamp(*box)
    assert torch.equal(moved(model, x, y, None, PGD, box), corner)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [None, 3])
def test_pgd_does_not_lower_the_loss_on_average(
    classes: int | None, seed: int, box: tuple[float, float] | None
):
    model, x = seeded(lambda: mlp(D, 32, 2, classes or 1), seed), pixels(100, D, seed=seed)
    y = (
        torch.arange(100) % classes
        if classes
        else torch.where(torch.arange(100) % 2 == 0, 1.0, -1.0)
    )
    begun, found = (
        moved(model, x, y, classes, PGD._replace(steps=steps), box) for steps in (0, 10)
    )
    clean, before, after = (losses(model, at, y, classes) for at in (x, begun, found))
    assert after.mean() > before.mean() and after.mean() > clean.mean()
    assert (after >= before - 1e-6).float().mean() > 0.95


def test_the_random_start_is_uniform_in_the_ball():
    x = torch.full((2000, D), 0.5)
    start = moved(mlp(D, 2, 1, 1), x, torch.ones(2000), None, PGD._replace(steps=0), UNIT_BOX)
    draws = ((start - x) / PGD.radius).flatten()
    assert torch.equal(draws.histc(4, -1, 1) / len(draws) > 0.24, torch.ones(4, dtype=torch.bool))
    assert float(draws.abs().max()) <= 1 + 1e-6


def test_fgsm_draws_nothing_and_pgd_draws_from_its_own_stream():
    x, y = pixels(8, D)[None], torch.ones(8)
    for how, draws in ((FGSM, False), (PGD, True)):
        (own,) = starts(1)
        before = own.get_state()
        perturb(
            Alone(mlp(D, 4, 1, 1)),
            x,
            1,
            partial(sample_losses, y=y, classes=None),
            how,
            None,
            [own],
        )
        assert torch.equal(own.get_state(), before) is not draws
    model, before = seeded(lambda: mlp(D, 4, 1, 1)), torch.get_rng_state()
    first, second = (moved(model, x[0], y, None, PGD, None) for _ in range(2))
    assert torch.equal(first, second) and torch.equal(torch.get_rng_state(), before)


def test_a_model_that_does_not_look_at_its_input_moves_nothing():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.answer = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return self.answer.expand(len(x))[:, None]

    x = pixels(4, D)
    assert torch.equal(moved(Constant(), x, torch.ones(4), None, FGSM, UNIT_BOX), x)


# Stacks


def cnn(capacity: int) -> nn.Module:
    return Mnist().model(MnistConfig(head="digits", stop="epochs", model="cnn", capacity=capacity))


NETS: dict[str, tuple[Callable[[int], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda width: mlp(D, width, 1, 3), (D,)),
    "deeper": (lambda width: mlp(D, width, 2, 3), (D,)),
    "cnn": (lambda width: cnn(1 + width % 2), (1, 28, 28)),
}
WIDTHS = (8, 3, 5)
N = 20


def samples(shape: tuple[int, ...], seed: int, n: int = N) -> Data:
    """In double precision, where rounding flips no gradient's sign."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(n, *shape, generator=draw).double()
    y, noise = resample_labels((3 * x.flatten(1)[:, 0]).long(), 3, 0.2, draw)
    return Data(x, y, x[:4], y[:4], noise, classes=3, box=UNIT_BOX)


def models(net: str, rows: int) -> list[nn.Module]:
    return [
        seeded(lambda width=width: NETS[net][0](width), i).double()
        for i, width in enumerate(WIDTHS * rows)
    ]


@pytest.mark.parametrize("how", [FGSM, PGD], ids=["fgsm", "pgd"])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("net", NETS)
def test_a_model_of_a_stack_gets_the_inputs_that_it_gets_alone(net: str, rows: int, how: Adversary):
    data, alone = [samples(NETS[net][1], seed) for seed in range(rows)], models(net, rows)
    program: Program = stack(copy.deepcopy(alone), data[0].x_train[:4])
    y = torch.stack([d.y_train for d in data]).repeat_interleave(len(WIDTHS), 0).flatten()
    x = torch.stack([d.x_train for d in data])
    found = perturb(
        program, x, len(WIDTHS), partial(sample_losses, y=y, classes=3), how, UNIT_BOX, starts(rows)
    )
    assert found.shape == (len(alone), *x.shape[1:])
    for m, model in enumerate(alone):
        row = m // len(WIDTHS)
        own = perturb(
            Alone(model),
            x[row][None],
            1,
            partial(sample_losses, y=data[row].y_train, classes=3),
            how,
            UNIT_BOX,
            [starts(rows)[row]],
        )
        torch.testing.assert_close(found[m], own[0], rtol=0, atol=1e-5)
    assert not torch.allclose(found[0], found[1]), "each its own"


def config(n: int = N, **about: Any) -> Config:
    return Config.model_validate(
        {
            "n": n,
            "batch_size": 10,
            "stop": "epochs",
            "max_epochs": 10,
            "adversary_radius": 0.3,
            **about,
        }
    )


KINDS = {"fgsm": {"adversary": "fgsm"}, "pgd": {"adversary": "pgd", "adversary_steps": 5}}


def trained(modules: Sequence[nn.Module], rows: list[StackGroup], config: Config) -> list[Fit]:
    fits = train(stack(modules, rows[0].data.x_train[:4]), rows, [config] * len(modules))
    assert all(isinstance(fit, Fit) for fit in fits)
    return [fit for fit in fits if isinstance(fit, Fit)]


def row(data: Data, seed: int, lr: float = 1e-2) -> StackGroup:
    return StackGroup(data, Seeds(seed).generator("order"), lr, Seeds(seed).generator("adversary"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("net", ["mlp", "deeper"])
def test_a_model_of_a_stack_trains_as_alone(net: str, kind: str):
    """Twenty steps, two rows of three widths."""
    data, together, alone = (
        [samples((D,), seed) for seed in range(2)],
        models(net, 2),
        models(net, 2),
    )
    ends = trained(together, [row(d, seed) for seed, d in enumerate(data)], config(**KINDS[kind]))
    for m, model in enumerate(alone):
        (end,) = trained([model], [row(data[m // 3], m // 3)], config(**KINDS[kind]))
        assert end.loss == pytest.approx(ends[m].loss, rel=1e-4) and end.steps == 20
        for mine, its in zip(together[m].parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-5)


# Training


def test_a_fits_figures_and_stop_rules_are_about_clean_inputs():
    """Every clean label is fitted while more adversarial ones are wrong than an epoch's running
    figure may show to be looked at."""
    data, model, about = (
        samples((D,), 0, 60),
        seeded(lambda: mlp(D, 64, 1, 3)).double(),
        {"adversary": "fgsm", "adversary_radius": 0.1},
    )
    (end,) = trained(
        [model], [row(data, 0)], config(n=60, stop="interpolate", max_epochs=400, **about)
    )
    assert end.stop_reason == "interpolated" and end.epochs < 400 and end.error == 0.0
    x, y = data.x_train, data.y_train
    assert end.loss == pytest.approx(float(losses(model, x, y, 3).mean()), rel=1e-6)
    against = moved(model, x, y, 3, Adversary(0.1, 1, 0.1, random_start=False), UNIT_BOX)
    assert float(wrong(model(against), y, 3).float().mean()) > 0.02


def test_training_against_pgd_is_the_textbook_loop():
    data, model, textbook = samples((D,), 0), models("mlp", 1)[0], models("mlp", 1)[0]
    about = config(**KINDS["pgd"])
    trained([model], [row(data, 0)], about)
    order, own = Seeds(0).generator("order"), Seeds(0).generator("adversary")
    adam = torch.optim.Adam(textbook.parameters(), 1e-2)
    step = 4 * 0.3 / (3 * 5)
    for _ in range(10):
        for batch in torch.randperm(N, generator=order).split(10):
            x, y = data.x_train[batch], data.y_train[batch]
            at = (x + 0.3 * (2 * torch.rand(x.shape, generator=own).double() - 1)).clamp(0, 1)
            for _ in range(5):
                at = at.detach().requires_grad_()
                gradient = torch.autograd.grad(nn.functional.cross_entropy(textbook(at), y), at)[0]
                at = (at + step * gradient.sign()).detach()
                at = torch.minimum(torch.maximum(at, x - 0.3), x + 0.3).clamp(0, 1)
            adam.zero_grad()
            nn.functional.cross_entropy(textbook(at), y).backward()
            adam.step()
    for mine, its in zip(model.parameters(), textbook.parameters(), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-6, atol=1e-8)


def test_random_starts_need_their_generator():
    data = samples((D,), 0)
    with pytest.raises(ValueError, match="every group needs `starts`"):
        train(
            Alone(models("mlp", 1)[0]),
            [StackGroup(data, Seeds(0).generator("order"), 1e-2)],
            [config(**KINDS["pgd"])],
        )


def test_what_an_adversary_finds_beyond_finite_is_a_nan_failure():
    data, model = samples((D,), 0), models("mlp", 1)[0]
    with torch.no_grad():
        next(iter(model.parameters())).fill_(math.nan)
    (end,) = train(Alone(model), [row(data, 0)], [config(**KINDS["pgd"])])
    assert getattr(end, "kind", None) == "nan"


def test_adversarially_trained_digits_stand_more():
    about = {
        "n": 600,
        "head": "digits",
        "stop": "epochs",
        "max_epochs": 12,
        "width": 64,
        "batch_size": 50,
        "lr": 3e-3,
    }
    accuracy = {}
    for kind, more in {
        "natural": {},
        "fgsm": {"adversary": "fgsm", "adversary_radius": 0.1},
    }.items():
        digits = MnistConfig.model_validate({**about, **more})
        data, model = (
            Mnist().data(digits, Seeds(0)),
            seeded(lambda digits=digits: Mnist().model(digits)),
        )
        trained([model], [row(data, 0, digits.lr)], digits)
        x, y = data.x_test, data.y_test
        attacked = moved(model, x, y, 10, Adversary(0.1, 1, 0.1, random_start=False), data.box)
        accuracy[kind] = [
            1 - float(wrong(model(at).detach(), y, 10).float().mean()) for at in (x, attacked)
        ]
    (clean, natural), (robust_clean, robust) = accuracy["natural"], accuracy["fgsm"]
    assert clean > 0.8 and robust_clean > 0.75, accuracy
    assert natural < 0.3 and robust > natural + 0.2, accuracy


# What it costs


def test_flops_of_a_pass_by_hand():
    assert count_pass_flops(nn.Linear(5, 3), (5,)) == 2 * 15 + 2 * 15
    assert count_pass_flops(mlp(D, 8, 2, 3), (D,)) == 4 * (D * 8 + 8 * 8 + 8 * 3)
    with torch.device("meta"):
        assert count_pass_flops(mlp(D, 8, 2, 3), (D,)) == 4 * (D * 8 + 8 * 8 + 8 * 3)
        convolutions = 28 * 28 * 25 * 2 + 14 * 14 * 25 * 2 * 4
        assert count_pass_flops(cnn(1), (1, 28, 28)) == 4 * (convolutions + 49 * 4 * 64 + 64 * 10)


def near(value: float) -> Any:
    """Stand in for a float of about this value."""
    return pytest.approx(value)


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"adversary_radius": None}, None),
        ({"adversary": "fgsm"}, Adversary(0.3, 1, 0.3, random_start=False)),
        (
            {"adversary": "pgd"},
            Adversary(0.3, 40, near(0.01), random_start=True),
        ),
        (
            {"adversary": "pgd", "adversary_steps": 8},
            Adversary(0.3, 8, near(0.05), random_start=True),
        ),
        (
            {"adversary": "pgd", "adversary_step_size": 0.1},
            Adversary(0.3, 40, 0.1, random_start=True),
        ),
    ],
)
def test_the_adversary_of_a_configuration(about: dict[str, Any], expected: Adversary | None):
    assert adversary_of(config(**about)) == expected
