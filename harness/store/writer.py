"""The process that is writing to a store, as a file of the store names it."""

import os
import platform

from pydantic import BaseModel, ConfigDict, Field


class Writer(BaseModel):
    """A process on a machine."""

    model_config = ConfigDict(frozen=True, strict=True)

    host: str
    pid: int = Field(gt=0)

    @classmethod
    def this(cls) -> "Writer":
        """Return this process."""
        return cls(host=platform.node(), pid=os.getpid())

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host[:40]!r}"

    def has_ended(self) -> bool:
        """Return whether the process was on this machine and has ended. Of a process on another
        machine that cannot be known."""
        if self.host != platform.node():
            return False
        try:
            os.kill(self.pid, 0)  # sends nothing
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:  # another user's
            return False
        return False
