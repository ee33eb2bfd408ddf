"""The sweep file as pydantic models: its keys, their types, their bounds and their defaults."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from harness.errors import UserError
from harness.store.location import bucket_address
from harness.store.records import SWEEP_NAME
from harness.sweeps.bounds import MAX_CPUS, MAX_POINTS, MAX_TRIALS
from harness.sweeps.gpu_shares import rounded
from harness.sweeps.messages import show
from harness.sweeps.point_counts import PointCounts


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Resources(_Part):
    """What one trial is given."""

    cpus: int = Field(default=1, ge=1, le=MAX_CPUS, description="CPU cores, and torch threads")
    gpus: Annotated[float, Field(ge=0, le=64)] | Literal["auto"] = Field(
        default=0,
        description=(
            "GPUs: a number, a share 1/k of one, or auto: as much as a batch needs, or more where"
            " that is quicker"
        ),
    )
    gpu_memory_gb: float | None = Field(
        default=None, gt=0, description="memory of one GPU; default: of this machine's"
    )
    max_gpus: int = Field(
        default=8,
        ge=1,
        le=64,
        description="GPUs that a language model's trial may be given when fewer do not hold it",
    )
    memory_gb: float | None = Field(
        default=None, gt=0, description="memory; default: no reservation, plans use this machine's"
    )

    @field_validator("gpus", mode="before")
    @classmethod
    def _divides_one_or_is_whole(cls, value: Any) -> Any:
        if value == "auto":
            return value
        number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 64
        if number and value == int(value):
            return value
        share = rounded(value) if number and value < 1 else None
        if share is None:
            raise ValueError(
                "'resources.gpus' must be auto, a whole number up to 64, or a share 1/k of one GPU"
                f" (0.5, 0.3333, 0.25, …), not {show(value)}"
            )
        return share


class MeasurePoints(_Part):
    """Points that each instrument is measured on."""

    stability: int = Field(
        default=PointCounts().stability,
        ge=1,
        le=MAX_POINTS,
        description="held-out points of S, the mean distance to the decision boundary",
    )
    training_radius: int = Field(
        default=PointCounts().training_radius,
        ge=0,
        le=MAX_POINTS,
        description="training points of the training radius; 0: not measured",
    )
    others: int = Field(
        default=PointCounts().others,
        ge=1,
        le=MAX_POINTS,
        description="held-out points of every other instrument, the first of those of stability",
    )

    @model_validator(mode="after")
    def _others_are_among_those_of_stability(self) -> "MeasurePoints":
        if self.others > self.stability:
            raise ValueError(
                f"'limits.measure_points': others is {self.others} and must be at most stability,"
                f" {self.stability}"
            )
        return self

    @property
    def counts(self) -> PointCounts:
        """The numbers of points."""
        return PointCounts(self.stability, self.training_radius, self.others)


_Points = Annotated[int, Field(ge=0, le=MAX_POINTS)] | MeasurePoints


class Limits(_Part):
    """When to stop."""

    seconds_per_trial: float = Field(
        default=600, gt=0, le=1e7, description="a trial that takes longer becomes a timeout row"
    )
    attempts: int = Field(
        default=2,
        ge=1,
        le=20,
        description="tries at a trial that crashed or ran out of memory; lost nodes do not count",
    )
    trials: int = Field(
        default=10_000, ge=1, le=MAX_TRIALS, description="a larger cross product is refused"
    )
    measure_points: MeasurePoints = Field(
        default=MeasurePoints(),
        description=(
            "points that sensitivity is measured on: one number for all instruments (0: not"
            " measured), or a number for each of stability, training_radius and others"
        ),
    )
    weights_mb: float = Field(
        default=4,
        ge=0,
        le=1e5,
        description="final weights up to this size are kept for measuring again",
    )

    @field_validator("measure_points", mode="before", json_schema_input_type=_Points)
    @classmethod
    def _one_number_stands_for_all(cls, value: Any) -> Any:
        if isinstance(value, dict | MeasurePoints):
            return value
        number = isinstance(value, int) and not isinstance(value, bool)
        if not number or not 0 <= value <= MAX_POINTS:
            raise ValueError(
                f"'limits.measure_points' must be a whole number, not {show(value)}: one from 0 to"
                f" {MAX_POINTS} for all instruments, or one for each of"
                f" {', '.join(MeasurePoints.model_fields)}"
            )
        return MeasurePoints.model_construct(stability=value, training_radius=value, others=value)


class TaskEntry(_Part):
    """One task and the part of its configuration space to cover."""

    task: str = Field(description="name of a task; see `unilaw tasks`")
    fixed: dict[str, Any] = Field(
        default_factory=dict, description="field → value, the same in every trial"
    )
    grid: dict[str, Any] = Field(
        default_factory=dict,
        description="field → list, {geomspace: …} or {range: …}; all combinations run",
    )
    seeds: Any = Field(default=None, description="this entry's own seeds, in place of the sweep's")


class SweepFile(_Part):
    """The whole file."""

    name: str = Field(pattern=SWEEP_NAME, description="names the sweep in rows and in the store")
    description: str = Field(default="", max_length=2000, description="shown in the report")
    seeds: Any = Field(
        description="whole numbers: a list or {range: …}; every cell runs once per seed"
    )
    store: str | None = Field(
        default=None,
        min_length=1,
        description="folder, s3://… or gs://… for the rows; default runs/NAME",
    )
    resources: Resources = Field(default_factory=Resources)
    limits: Limits = Field(default_factory=Limits)
    tasks: list[TaskEntry] = Field(min_length=1)

    @field_validator("store")
    @classmethod
    def _a_folder_name(cls, value: str | None) -> str | None:
        if value is not None and not value.isprintable():
            raise ValueError(
                f"'store' holds a character that no folder's name should have: {show(value)}"
            )
        try:
            bucket_address(value or "")
        except UserError as e:
            raise ValueError(str(e)) from None
        return value
