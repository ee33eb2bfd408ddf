"""The sweep of a file given as plain values."""

from typing import Any

import yaml

from harness.sweeps.sweep import Sweep, parse_sweep


def expand(**file: Any) -> Sweep:
    """The sweep of a file given as plain values."""
    return parse_sweep(
        yaml.safe_dump({"name": "a", "seeds": [0], **file}, sort_keys=False), "sweep.yaml"
    )
