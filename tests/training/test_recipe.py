"""Recipes of training (optimiser, weight decay, warm-up, initial scale) are torch's own, the same
in a stack as alone, and refused where they contradict each other.

Run alone: python -m pytest tests/training/test_recipe.py
"""

import copy
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F

from harness.execution.model_weights import initialised
from harness.language import LanguageConfig
from harness.task import Config, Seeds
from harness.training.alone import Alone
from harness.training.loop import Fit, StackGroup, train
from harness.training.recipe import Recipe
from harness.training.stack import stack
from tasks.models import mlp
from tasks.sphere import Sphere, SphereConfig
from tests.training.toy_models import Build, D, Residual, assert_same_weights, data, over, seeded

N = 50
STEPS = 20
"""Five epochs of four steps."""


def config(**fields: Any) -> Config:
    return Config.model_validate(
        {"n": N, "batch_size": 16, "stop": "epochs", "max_epochs": 5, "lr": 0.01, **fields}
    )


RECIPES: dict[str, dict[str, Any]] = {
    "adam": {"weight_decay": 0.3, "warmup_steps": 7},
    "adamw": {"optimiser": "adamw", "weight_decay": 0.5},
    "sgd": {"optimiser": "sgd", "weight_decay": 0.1},
    "sgd without momentum": {"optimiser": "sgd", "momentum": 0.0, "warmup_steps": 30},
}
OF_TORCH = {
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.01),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01),
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.9),
    "sgd without momentum": lambda groups: torch.optim.SGD(groups, lr=0.01),
}
NETS: dict[str, Build] = {
    "chain": lambda width, outputs: mlp(D, width, 2, outputs),
    "other": Residual,
}


def group(fields: Config, seed: int) -> StackGroup:
    return StackGroup.of(fields, data(seed, 3, n=N), Seeds(seed))


def trained_alone(module: nn.Module, fields: Config, seed: int) -> nn.Module:
    (fit,) = train(Alone(module), [group(fields, seed)], [fields])
    assert isinstance(fit, Fit) and fit.steps == STEPS and fit.samples == 5 * N
    return module


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_torchs_own(name: str):
    fields = config(**RECIPES[name])
    plain = seeded(lambda: mlp(D, 8, 1, 3))
    own = trained_alone(copy.deepcopy(plain), fields, seed=0)

    matrices = [p for p in plain.parameters() if p.dim() > 1]
    others = [p for p in plain.parameters() if p.dim() == 1]
    decay = fields.weight_decay or 0.0
    optimiser = OF_TORCH[name](
        [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    )
    shared = group(fields, 0)
    done = 0
    for _ in range(5):
        for batch in torch.randperm(N, generator=shared.order).split(16):
            warmup = fields.warmup_steps or 0
            for part in optimiser.param_groups:
                part["lr"] = 0.01 * min(1.0, (done + 1) / (warmup + 1))
            optimiser.zero_grad()
            F.cross_entropy(
                plain(shared.data.x_train[batch]), shared.data.y_train[batch]
            ).backward()
            optimiser.step()
            done += 1
    assert_same_weights(own, plain, atol=1e-6)


@pytest.mark.slow
@over(NETS, "build")
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_recipe_in_a_stack_is_that_of_the_model_alone(name: str, build: Build):
    """Groups differ in rate, decay and warm-up; the second and third share a call of the kernel."""
    base = RECIPES[name]
    recipes = [
        config(**base),
        config(**{**base, "weight_decay": 0.9, "lr": 0.003}),
        config(**{**base, "weight_decay": 0.9, "lr": 0.003}),
        config(**{**base, "warmup_steps": 11, "lr": 0.003}),
    ]
    sizes = (8, 5)
    modules = [seeded(lambda w=w: build(w, 3), i) for i, w in enumerate(sizes * len(recipes))]
    alone = [
        trained_alone(copy.deepcopy(module), recipes[i // 2], seed=i // 2)
        for i, module in enumerate(modules)
    ]

    groups = [group(fields, seed) for seed, fields in enumerate(recipes)]
    program = stack(modules, groups[0].data.x_train[:4])
    train(program, groups, [fields for fields in recipes for _ in sizes])
    for module, expected in zip(modules, alone, strict=True):
        assert_same_weights(module, expected, atol=1e-5)


def test_the_initial_scale_multiplies_everything_but_norms_once():
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.into = nn.Linear(3, 4)
            self.norm = nn.LayerNorm(4)
            self.back = nn.Linear(3, 4, bias=False)
            self.back.weight = self.into.weight

    class OfNormed(Sphere):
        def model(self, config: Any) -> nn.Module:
            return Normed()

    seeds = Seeds(3)
    plain = initialised(OfNormed(), SphereConfig(), seeds).state_dict()
    scaled = initialised(OfNormed(), SphereConfig(init_scale=0.25), seeds).state_dict()
    for name in ("into.weight", "into.bias", "back.weight"):
        assert torch.equal(scaled[name], 0.25 * plain[name]), name
    assert torch.equal(scaled["norm.weight"], plain["norm.weight"])


def test_warm_up_rises_to_the_rate():
    rates = [Recipe(warmup_steps=3).rate(1.0, step) for step in range(5)]
    assert rates == [0.25, 0.5, 0.75, 1.0, 1.0]


@pytest.mark.parametrize("rest", [{}, {"frontier": "adversary"}], ids=["plain", "frontier"])
@pytest.mark.parametrize(
    "written",
    [
        {"optimiser": "adam"},
        {"weight_decay": 0.0},
        {"warmup_steps": 0},
        {"init_scale": 1.0},
    ],
    ids=str,
)
def test_a_default_written_out_is_the_same_trial(written: dict[str, Any], rest: dict[str, Any]):
    assert config(**written, **rest).plain() == config(**rest).plain()


def test_a_row_says_the_momentum_that_was_left_out():
    assert config(optimiser="sgd").plain()["momentum"] == 0.9


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"momentum": 0.5}, "'momentum' is 0.5 and belongs to optimiser 'sgd'; the optimiser is"),
        ({"optimiser": "adamw"}, "optimiser 'adamw' needs 'weight_decay', a number above 0"),
        ({"optimiser": "adamv"}, "Input should be 'adam', 'adamw' or 'sgd'"),
        ({"weight_decay": -1.0}, "greater than or equal to 0"),
        ({"init_scale": 0.0}, "greater than 0"),
        (
            {"frontier": "adversary", "warmup_steps": 5},
            "'warmup_steps' is 5 and frontier 'adversary' brings its own recipe",
        ),
        ({"check_every": 3}, "'check_every' is 3 and there is no stop rule to look at"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_does_not_go_together_is_refused(fields: dict[str, Any], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        config(**fields)


@pytest.mark.parametrize(
    "fields", [{"optimiser": "sgd"}, {"warmup_steps": 3}, {"init_scale": 2.0}], ids=str
)
def test_a_language_model_has_a_recipe_of_its_own(fields: dict[str, Any]):
    (name,) = fields
    with pytest.raises(ValidationError, match=f"'{name}' is .* and belongs to tasks of samples"):
        LanguageConfig(**fields)
