"""The configuration of a trial: the fields that training needs, and what a task's own fields are
for."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic import Field as Field

from harness.task.recipe import Optimiser, complete_recipe

StopRule = Literal["noise", "interpolate", "epochs"]
Adversary = Literal["fgsm", "pgd"]
AdversaryNorm = Literal["linf", "l2"]
FrontierSearch = Literal["adversary", "penalty"]

EVALUATION_BATCH = 4096
"""Samples that go through a model at once, at most, when a set is evaluated."""

PGD_STEPS = 40
"""As in Madry et al. 2018 on MNIST: 40 steps of 0.01 in a ball of radius 0.3."""

PGD_PATH = {"linf": (4, 3), "l2": (5, 2)}
"""Length of all steps together over the radius, as a fraction, where no step size is given: in ℓ∞
as above, in ℓ2 as in Engstrom et al. 2019 (the package robustness)."""


def Size(default: int, *, description: str, ge: int = 1, le: int | None = None) -> Any:
    """Return a configuration field that sets the model's size and nothing else.

    Rows that differ only in size fields and seed lie on one curve in p, which is what the report
    fits.
    """
    return Field(default, description=description, ge=ge, le=le, json_schema_extra={"size": True})


def Source(default: str, *, description: str) -> Any:
    """Return a configuration field that says where data comes from.

    The field is left out of the trial's identity: the data's content (`Task.fingerprint`) stands in
    for it, so that the same data read from another place is the same trial.
    """
    return Field(default, description=description, json_schema_extra={"source": True})


class Config(BaseModel):
    """Base of every task's configuration: the fields that training needs. Subclasses add their
    own."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    n: int = Field(default=512, ge=2, le=100_000_000, description="training samples")
    stop: StopRule = Field(
        default="noise",
        description=(
            "noise: train until the fit is below the injected noise level by half of it; "
            "interpolate: until every training label is fitted (±1 targets: squared error ≤ 0.01); "
            "epochs: to the cap"
        ),
    )
    max_epochs: int = Field(
        default=500, ge=1, le=1_000_000, description="cap on passes over the training set"
    )
    check_every: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description=(
            "optimiser steps between two looks at the stop rule, beside that at the end of every"
            " epoch; none if left out"
        ),
    )
    batch_size: int = Field(
        default=64, ge=1, le=1_000_000, description="samples per optimiser step"
    )
    lr: float = Field(default=3e-3, gt=0, le=10, description="the optimiser's learning rate")
    optimiser: Optimiser | None = Field(
        default=None,
        description=(
            "adam, adamw (weight decay apart from the gradient) or sgd (with momentum); adam if"
            " left out"
        ),
    )
    momentum: float | None = Field(
        default=None, ge=0, lt=1, description="sgd: share of the last step; 0.9 if left out"
    )
    weight_decay: float | None = Field(
        default=None,
        ge=0,
        le=10,
        description=(
            "of matrices alone: adam and sgd add it times the weights to the gradient, adamw"
            " shrinks the weights by lr times it; 0 if left out"
        ),
    )
    warmup_steps: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000_000,
        description="first optimiser steps, in which the learning rate rises from 0; 0 if left out",
    )
    init_scale: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="factor on all initial weights but those of norms; 1 if left out",
    )
    adversary: Adversary | None = Field(
        default=None,
        description=(
            "train on inputs moved against the model: fgsm, one step to the ball's edge; pgd, steps"
            " from a random start"
        ),
    )
    adversary_radius: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="adversary: radius of the ball, in the inputs' own numbers",
    )
    adversary_norm: AdversaryNorm | None = Field(
        default=None,
        description="adversary: the ball's norm; linf if left out",
    )
    adversary_steps: int | None = Field(
        default=None, ge=1, le=10_000, description=f"pgd: gradient steps; {PGD_STEPS} if left out"
    )
    adversary_step_size: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description=(
            "pgd: length of a step, linf: in every number; if left out 4/3·radius/steps, l2:"
            " 5/2·radius/steps"
        ),
    )

    frontier: FrontierSearch | None = Field(
        default=None,
        description=(
            "search for the most robust model that fits below the noise, in place of one training:"
            " adversary, against ℓ2 balls whose radius follows the error; penalty, with gradient"
            " penalties. Each training takes max_epochs, or a part of them"
        ),
    )
    search_seed: int | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="frontier: seed of initial weights and search; the trial's seed if left out",
    )

    @model_validator(mode="after")
    def _recipe_is_whole(self) -> "Config":
        """Refuse fields of a recipe that do not go together, and fill in the ones left out."""
        if self.check_every and (self.frontier or self.stop == "epochs"):
            raise ValueError(
                f"'check_every' is {self.check_every} and there is no stop rule to look at before"
                " max_epochs; leave it out, or set stop to 'noise' or 'interpolate'"
            )
        for name, value in complete_recipe(self).items():
            object.__setattr__(self, name, value)
        return self

    @model_validator(mode="after")
    def _frontier_is_whole(self) -> "Config":
        """Refuse fields that do not go with the search of the frontier, which trains to the cap."""
        if self.frontier is None:
            if self.search_seed is not None:
                raise ValueError(
                    f"'search_seed' is {self.search_seed} and nothing is searched; set frontier to"
                    " 'adversary' or 'penalty', or leave it out"
                )
            return self

        if self.adversary is not None:
            raise ValueError(
                f"'adversary' is '{self.adversary}' and frontier '{self.frontier}' brings its own"
                " balls; leave one of them out"
            )
        if "stop" in self.model_fields_set and self.stop != "epochs":
            raise ValueError(
                f"'stop' is '{self.stop}' and frontier '{self.frontier}' trains to the cap; leave"
                " 'stop' out, or set it to 'epochs'"
            )
        object.__setattr__(self, "stop", "epochs")
        return self

    @model_validator(mode="after")
    def _adversary_is_whole(self) -> "Config":
        """Refuse fields that do not belong to the adversary, and fill in the ones left out."""
        names = ("adversary_radius", "adversary_norm", "adversary_steps", "adversary_step_size")
        values = {name: getattr(self, name) for name in names}
        present = [name for name, value in values.items() if value is not None]

        if self.adversary is None:
            if present:
                raise ValueError(
                    f"'{present[0]}' is {values[present[0]]} and there is no adversary; set"
                    " adversary to 'fgsm' or 'pgd', or leave it out"
                )
            return self

        if self.adversary_radius is None:
            raise ValueError(
                f"adversary '{self.adversary}' needs 'adversary_radius', a number above 0 (0.3 on"
                " MNIST in Madry et al. 2018)"
            )

        # Written either way it is the same trial, the one that it was before there were two norms.
        if self.adversary_norm == "linf":
            object.__setattr__(self, "adversary_norm", None)

        if self.adversary == "fgsm":
            steps = [name for name in present if name.startswith("adversary_step")]
            if steps:
                raise ValueError(
                    f"'{steps[0]}' is {values[steps[0]]} and belongs to adversary 'pgd';"
                    " 'fgsm' takes one step of the whole radius"
                )
            return self

        # In the configuration itself, so that every row says them and a later default changes no
        # earlier trial.
        steps = self.adversary_steps or PGD_STEPS
        above, below = PGD_PATH[self.adversary_norm or "linf"]
        step_size = self.adversary_step_size or above * self.adversary_radius / (below * steps)
        object.__setattr__(self, "adversary_steps", steps)
        object.__setattr__(self, "adversary_step_size", step_size)
        return self

    @classmethod
    def fields_marked(cls, mark: Literal["size", "source"]) -> frozenset[str]:
        """Return the names of the fields declared with `Size` or `Source`."""
        names = set()
        for name, field in cls.model_fields.items():
            extra = field.json_schema_extra
            if isinstance(extra, dict) and extra.get(mark):
                names.add(name)
        return frozenset(names)

    @property
    def rate(self) -> float:
        """The learning rate of this size of model: `lr`, unless a task lets it fall with size."""
        return self.lr

    @property
    def samples_per_step(self) -> int:
        """`batch_size`, or all samples where there are fewer."""
        return min(self.batch_size, self.n)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one pass; the last may be short of samples."""
        return -(-self.n // self.samples_per_step)

    @property
    def passed_together(self) -> int:
        """Samples of one forward and backward pass."""
        return self.samples_per_step

    @property
    def evaluated_together(self) -> int:
        """Samples that go through the model at once, at most, when the training set is
        evaluated."""
        return min(EVALUATION_BATCH, self.n)

    @property
    def samples_in_memory(self) -> int:
        """Training samples that a worker holds."""
        return self.n

    @property
    def adversary_passes(self) -> int:
        """Forward and backward passes that the adversary, or the search of the frontier, takes
        before every optimiser step."""
        return self.adversary_steps or (1 if self.adversary or self.frontier else 0)

    def plain(self, without: Iterable[str] = ()) -> dict[str, Any]:
        """Return the configuration as JSON values, without the fields named.

        A field that is None and None by default is left out too: a new optional field then leaves
        the identity of every earlier trial as it was.
        """
        absent = {
            name
            for name, field in type(self).model_fields.items()
            if field.default is None and getattr(self, name) is None
        }
        return self.model_dump(mode="json", exclude=absent | set(without))

    def settings(self) -> dict[str, Any]:
        """Return the configuration without its size and source fields."""
        return self.plain(without=self.fields_marked("size") | self.fields_marked("source"))
