"""A sweep file, validated whole before anything starts, and the trials it asks for.

name: my-sweep
seeds: [0, 1]
tasks:
  - task: sphere
    fixed: {n: 256, d: 16}
    grid:
      width: {geomspace: [4, 1024, 9]}    # start, stop (included), count
      depth: [1, 2]
"""

import contextlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from harness.errors import UserError, did_you_mean
from harness.store.address import bucket_address
from harness.store.records import SWEEP_NAME
from harness.sweeps.gpu_shares import rounded
from harness.sweeps.messages import complain, dotted, show, unknown_key
from harness.sweeps.registry import TaskRef, find, load
from harness.sweeps.trial import MEASURE_POINTS, Trial, make_trial
from harness.sweeps.yaml_lines import Document, Path_, parse_document, read_document
from harness.task import Config

SHIPPED = Path(__file__).resolve().parents[2] / "tasks" / "sweeps"
MAX_GRID_POINTS = 1_000_000
SEEDS: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=0, lt=2**63)])


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Resources(_Part):
    """What one trial is given."""

    cpus: int = Field(default=1, ge=1, le=1024, description="CPU cores, and torch threads")
    gpus: Annotated[float, Field(ge=0, le=64)] | Literal["auto"] = Field(
        default=0,
        description=(
            "GPUs: a number, a share 1/k of one, or auto: as much as each trial needs by its memory"
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


class Limits(_Part):
    """When to stop."""

    seconds_per_trial: float = Field(
        default=600, gt=0, le=1e7, description="a trial that takes longer becomes a timeout row"
    )
    attempts: int = Field(
        default=2,
        ge=1,
        le=20,
        description="tries at a trial that crashed, ran out of memory or was preempted",
    )
    trials: int = Field(
        default=10_000, ge=1, le=MAX_GRID_POINTS, description="a larger cross product is refused"
    )
    measure_points: int = Field(
        default=MEASURE_POINTS,
        ge=0,
        le=100_000,
        description="held-out points that sensitivity is measured on; 0: not measured",
    )
    weights_mb: float = Field(
        default=4,
        ge=0,
        le=1e5,
        description="final weights up to this size are kept for measuring again",
    )


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


@dataclass(frozen=True)
class Sweep:
    """A validated sweep. `trials` are distinct; `repeated` counts cells that were asked for more
    than once."""

    name: str
    text: str
    store: str
    """A folder's path or a bucket's address."""
    resources: Resources
    limits: Limits
    trials: tuple[Trial, ...]
    repeated: int
    store_where: str
    """file:line at which `store` is given, for messages."""


def locate(sweep: str) -> Path:
    """The file for a path or for the name of a shipped sweep."""
    path = Path(sweep)
    with contextlib.suppress(OSError):  # a name too long for the file system
        if path.is_file():
            return path
    shipped = sorted(p.stem for p in SHIPPED.glob("*.yaml"))
    if sweep in shipped:
        return SHIPPED / f"{sweep}.yaml"
    raise UserError(
        f"there is no sweep file {show(sweep)}, and the shipped sweeps are"
        f" {', '.join(shipped)}{did_you_mean(sweep, shipped)}"
    )


def load_sweep(sweep: str, from_file: dict[str, TaskRef] | None = None) -> Sweep:
    """Read, check and expand a sweep file. Raises UserError naming file, line, key and what is
    allowed."""
    return expand(read_document(locate(sweep)), from_file or {})


def parse_sweep(text: str, source: str, from_file: dict[str, TaskRef] | None = None) -> Sweep:
    """As `load_sweep`, from text."""
    return expand(parse_document(text, source), from_file or {})


def expand(document: Document, from_file: dict[str, TaskRef]) -> Sweep:
    """Check a document and list its trials: tasks in file order, grids in key order, seeds
    innermost."""
    if not isinstance(document.value, dict):
        raise UserError(
            f"{document.source}:1: a sweep file is a mapping with name, seeds and tasks, not"
            f" {show(document.value)}"
        )
    try:
        file = SweepFile.model_validate(document.value)
    except ValidationError as e:
        raise complain(e, document, SweepFile) from None
    seeds = _values(file.seeds, SEEDS, ("seeds",), document)
    cells = [
        _Cells(entry, ("tasks", i), document, from_file, seeds)
        for i, entry in enumerate(file.tasks)
    ]
    total = sum(c.count * len(c.seeds) for c in cells)
    if total > file.limits.trials:
        raise UserError(
            f"{document.where(('tasks',))}: the cross product is {total} trials and limits.trials"
            f" is {file.limits.trials}; narrow the grid, or raise limits.trials (at most"
            f" {MAX_GRID_POINTS})"
        )
    alone = next((c.ref.name for c in cells if load(c.ref).max_gpus == 1), None)
    if file.resources.gpus != "auto" and file.resources.gpus > 1 and alone:
        raise UserError(
            f"{document.where(('resources', 'gpus'))}: 'resources.gpus' is {file.resources.gpus:g},"
            f" and a trial of the task '{alone}' uses at most 1; only language models train on"
            " several"
        )
    trials = [trial for c in cells for trial in c.trials()]
    distinct = {t.trial_id: t for t in trials}
    return Sweep(
        file.name, document.text, _store(file), file.resources, file.limits,
        tuple(distinct.values()), len(trials) - len(distinct), document.where(("store",)),
    )  # fmt: skip


def _store(file: SweepFile) -> str:
    where = file.store or f"runs/{file.name}"
    return where if bucket_address(where) else str(Path(where).expanduser())


class _Cells:
    """The configurations that one entry asks for; field values are checked one by one before any
    are combined."""

    def __init__(
        self,
        entry: TaskEntry,
        at: Path_,
        document: Document,
        from_file: dict[str, TaskRef],
        seeds: list[int],
    ):
        try:
            self.ref = find(entry.task, from_file)
        except UserError as e:
            raise UserError(f"{document.where((*at, 'task'))}: {e}") from None
        self.config: type[Config] = load(self.ref).Config
        self.at, self.document = at, document
        for part in ("fixed", "grid"):
            for key in getattr(entry, part):
                if key not in self.config.model_fields:
                    raise UserError(
                        unknown_key((*at, part, key), self.config.model_fields, document)
                    )
        for key in entry.fixed.keys() & entry.grid.keys():
            raise UserError(
                f"{document.where((*at, 'grid', key))}: '{key}' stands in both fixed and grid of"
                f" {dotted(at)}"
            )
        self.fixed = {
            k: _value(v, self._adapter(k), (*at, "fixed", k), document)
            for k, v in entry.fixed.items()
        }
        self.grid = {
            k: _values(v, self._adapter(k), (*at, "grid", k), document)
            for k, v in entry.grid.items()
        }
        self.seeds = (
            seeds if entry.seeds is None else _values(entry.seeds, SEEDS, (*at, "seeds"), document)
        )
        # where a rule of the configuration's own finds a field's line
        for part in ("fixed", "grid"):
            document.lines |= {
                (*at, key): document.lines[(*at, part, key)] for key in getattr(entry, part)
            }

    def _adapter(self, key: str) -> TypeAdapter[Any]:
        info = self.config.model_fields[key]
        field_type: Any = Annotated[info.annotation, info]
        return TypeAdapter(field_type, config=ConfigDict(strict=True, allow_inf_nan=False))

    @property
    def count(self) -> int:
        return math.prod(len(v) for v in self.grid.values())

    def trials(self) -> Iterator[Trial]:
        """Cells in key order, seeds innermost. Raises UserError at the source's line when data
        cannot be read."""
        for config in self:
            try:
                yield from [make_trial(self.ref, config, seed) for seed in self.seeds]
            except UserError as e:
                source = sorted(config.fields_marked("source"))[:1]
                raise UserError(f"{self.document.where((*self.at, *source))}: {e}") from None
            except Exception as e:
                where = self.document.where((*self.at, "task"))
                raise UserError(
                    f"{where}: the task '{self.ref.name}' raises {type(e).__name__} in"
                    f" fingerprint(): {e}"
                ) from None

    def __iter__(self) -> Iterator[Config]:
        for combination in itertools.product(*self.grid.values()):
            fields = {**self.fixed, **dict(zip(self.grid, combination, strict=True))}
            try:
                yield self.config.model_validate(fields)
            except ValidationError as e:
                raise complain(e, self.document, self.config, self.at) from None


def _value(value: Any, adapter: TypeAdapter[Any], path: Path_, document: Document) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as e:
        choices = adapter.json_schema().get("enum", [])
        error = complain(e, document, BaseModel, path)
        raise UserError(f"{error}{did_you_mean(str(value), map(str, choices))}") from None


def _values(spec: Any, adapter: TypeAdapter[Any], path: Path_, document: Document) -> list[Any]:
    here, name = document.where(path), dotted(path)
    if isinstance(spec, list):
        values, paths = spec, [(*path, i) for i in range(len(spec))]
    elif isinstance(spec, dict):
        values = _generated(spec, adapter, path, document)
        paths = [path] * len(values)
    else:
        raise UserError(
            f"{here}: '{name}' must be a list, {{geomspace: [start, stop, count]}} or {{range:"
            f" [start, stop, step]}}, not {show(spec)}"
        )
    if not values:
        raise UserError(f"{here}: '{name}' is empty; a grid needs at least one value")
    checked = [_value(v, adapter, p, document) for v, p in zip(values, paths, strict=True)]
    seen: set[str] = set()
    for v, p in zip(checked, paths, strict=True) if isinstance(spec, list) else ():
        if repr(v) in seen:
            raise UserError(f"{document.where(p)}: '{name}' lists {show(v)} twice")
        seen.add(repr(v))
    return checked


def _generated(
    spec: dict[str, Any], adapter: TypeAdapter[Any], path: Path_, document: Document
) -> list[Any]:
    here, name = document.where(path), dotted(path)
    if len(spec) != 1 or next(iter(spec)) not in ("geomspace", "range"):
        key = next((k for k in spec if k not in ("geomspace", "range")), None)
        if key is None:
            raise UserError(f"{here}: '{name}' must have exactly one of geomspace and range")
        raise UserError(unknown_key((*path, key), ("geomspace", "range"), document))
    kind, arguments = next(iter(spec.items()))
    numbers = isinstance(arguments, list) and all(
        isinstance(a, int | float) and not isinstance(a, bool) and abs(a) < 1e18 for a in arguments
    )
    if kind == "range":
        if (
            not numbers
            or len(arguments) not in (2, 3)
            or not all(isinstance(a, int) for a in arguments)
            or 0 in arguments[2:]
        ):
            raise UserError(
                f"{here}: '{name}.range' must be whole numbers [start, stop (not included), step],"
                f" not {show(arguments)}"
            )
        points = range(*arguments)
        if len(points) > MAX_GRID_POINTS:
            raise UserError(
                f"{here}: '{name}.range' has {len(points)} points; at most {MAX_GRID_POINTS}"
            )
        return list(points)
    if not numbers or len(arguments) != 3 or not isinstance(arguments[2], int):
        raise UserError(
            f"{here}: '{name}.geomspace' must be numbers [start, stop (included), count], not"
            f" {show(arguments)}"
        )
    start, stop, count = arguments
    if start <= 0 or stop <= 0 or not 1 <= count <= MAX_GRID_POINTS:
        raise UserError(
            f"{here}: '{name}.geomspace' needs start and stop above 0 and a count from 1 to"
            f" {MAX_GRID_POINTS}, not {show(arguments)}"
        )
    points = np.geomspace(start, stop, count).tolist()
    if adapter.json_schema().get("type") == "integer":
        return sorted({round(x) for x in points}, reverse=stop < start)
    return points
