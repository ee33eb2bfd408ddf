"""Records that a store keeps beside its rows: the sweeps that were run into it, and the runs."""

import hashlib
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

SWEEP_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"


class SweepRecord(BaseModel):
    """A sweep that was run into a store.

    Records are validated when they are read, because the sweep's name becomes part of file names.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(pattern=SWEEP_NAME)

    text: str
    """The sweep file's text."""

    task_source: str | None
    """The text of the --task-file, if there was one."""

    trials: dict[Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")], str]
    """The task of each trial that the sweep asked for, by trial id."""

    @property
    def stem(self) -> str:
        """The name that the record's files share: stem + .json, .yaml and, with a task file,
        .py."""
        content = "\n".join([self.text, self.task_source or "", *sorted(self.trials)])
        return f"_sweeps/{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


class RunRecord(BaseModel):
    """A run that finished: how many trials it ran, how long they took, and the time that was
    forecast."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sweep: str = Field(pattern=SWEEP_NAME)
    began: AwareDatetime
    inline: bool
    trials: int = Field(ge=0)
    forecast_s: float = Field(ge=0)
    seconds: float = Field(ge=0)
