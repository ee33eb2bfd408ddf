"""The cells of a grid that one entry of a sweep file asks for, and their trials."""

import itertools
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from harness.errors import UserError
from harness.sweeps.field_values import check_value, check_values
from harness.sweeps.messages import complain, dotted, unknown_key
from harness.sweeps.registry import TaskRef, find, load
from harness.sweeps.sweep_file import TaskEntry
from harness.sweeps.trial import Trial, make_trial
from harness.sweeps.users_code import users_code
from harness.sweeps.yaml_lines import Document, Path_
from harness.task import Config

SEED: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=0, lt=2**63)])


class EntryCells:
    """The configurations that one entry asks for. Field values are checked one by one before any
    are combined.

    Raises UserError, with the line, for an unknown task or field, a field in both parts, and a
    wrong value. `seeds` are the sweep's, for an entry without seeds of its own.
    """

    def __init__(
        self,
        entry: TaskEntry,
        path: Path_,
        document: Document,
        from_file: dict[str, TaskRef],
        seeds: list[int],
    ):
        try:
            self.ref = find(entry.task, from_file)
        except UserError as e:
            raise UserError(f"{document.where((*path, 'task'))}: {e}") from None
        self.config: type[Config] = load(self.ref).Config
        self.path = path
        self.document = document

        self._check_fields(entry)
        self.fixed = {
            field: check_value(value, self._adapter(field), (*path, "fixed", field), document)
            for field, value in entry.fixed.items()
        }
        self.grid = {
            field: check_values(spec, self._adapter(field), (*path, "grid", field), document)
            for field, spec in entry.grid.items()
        }
        self.seeds = seeds
        if entry.seeds is not None:
            self.seeds = check_values(entry.seeds, SEED, (*path, "seeds"), document)

        # A configuration's own validator names a field without `fixed` or `grid` before it.
        for part in ("fixed", "grid"):
            for field in getattr(entry, part):
                document.lines[(*path, field)] = document.lines[(*path, part, field)]

    def _check_fields(self, entry: TaskEntry) -> None:
        known = self.config.model_fields
        for part in ("fixed", "grid"):
            for field in getattr(entry, part):
                if field not in known:
                    raise UserError(unknown_key((*self.path, part, field), known, self.document))

        for field in entry.fixed.keys() & entry.grid.keys():
            where = self.document.where((*self.path, "grid", field))
            raise UserError(
                f"{where}: '{field}' stands in both fixed and grid of {dotted(self.path)}"
            )

    def _adapter(self, field: str) -> TypeAdapter[Any]:
        info = self.config.model_fields[field]
        field_type: Any = Annotated[info.annotation, info]
        return TypeAdapter(field_type, config=ConfigDict(strict=True, allow_inf_nan=False))

    @property
    def count(self) -> int:
        """Number of cells."""
        return math.prod(len(values) for values in self.grid.values())

    def trials(self) -> Iterator[Trial]:
        """Cells in key order, seeds innermost.

        Raises UserError, at the line of the source, when data cannot be read.
        """
        for config in self.configs():
            with self._tasks_code("in fingerprint()"):
                try:
                    trials = [make_trial(self.ref, config, seed) for seed in self.seeds]
                except UserError as e:
                    source = sorted(config.fields_marked("source"))[:1]
                    raise UserError(f"{self.document.where((*self.path, *source))}: {e}") from None
            yield from trials

    def configs(self) -> Iterator[Config]:
        """Yield the configurations in key order, without looking at any data. Raises UserError for
        a combination that the task refuses."""
        for combination in itertools.product(*self.grid.values()):
            varied = dict(zip(self.grid, combination, strict=True))
            with self._tasks_code(f"in {self.config.__name__}"):
                try:
                    config = self.config.model_validate({**self.fixed, **varied})
                except ValidationError as e:
                    raise complain(e, self.document, self.config, self.path) from None
            yield config

    def _tasks_code(self, when: str) -> AbstractContextManager[None]:
        """Return the context in which the task's own code is called; `when` says in which part."""
        where = self.document.where((*self.path, "task"))
        return users_code(f"{where}: the task '{self.ref.name}'", when)
