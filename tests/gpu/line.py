"""What a part of the check says, and the sizes that it is run at."""

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch


class Line(NamedTuple):
    """One line of the table."""

    what: str
    figure: str
    wanted: str = ""
    met: bool | None = None
    """Whether the figure is the wanted one; None where nothing is wanted."""

    @classmethod
    def at_most(cls, what: str, value: float, most: float, unit: str = "") -> "Line":
        return cls(what, f"{value:.3g}{unit}", f"at most {most:g}{unit}", value <= most)

    @classmethod
    def at_least(cls, what: str, value: float, least: float, unit: str = "") -> "Line":
        return cls(what, f"{value:.3g}{unit}", f"at least {least:g}{unit}", value >= least)

    def as_json(self) -> str:
        return json.dumps(self._asdict())


class Place(NamedTuple):
    """Where a part runs."""

    device: torch.device

    @property
    def is_gpu(self) -> bool:
        return self.device.type == "cuda"

    def sized(self, on_gpu: Any, tiny: Any) -> Any:
        """Return the size of the real check, or the tiny one that exercises it on a CPU."""
        return on_gpu if self.is_gpu else tiny

    def seconds(self, work: Callable[[], Any]) -> float:
        """Return the seconds of some work, all that it launched included."""
        self._wait()
        clock = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - clock

    def _wait(self) -> None:
        if self.is_gpu:
            torch.cuda.synchronize()
