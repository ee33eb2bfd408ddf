"""A suite: sweeps that never change, the hash of their files, and reference rows of known hardware.

    suite = suite_named("universal-v1")

A sweep of a suite is frozen: other cells, limits or seeds make another version of the suite.
`tests/reports/suite/test_suite.py` holds the files' hashes, and that of the trials they ask for,
which covers the defaults and versions of the tasks.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

from harness.errors import UserError, did_you_mean

REFERENCES = Path(__file__).parent / "references"


class Reference(NamedTuple):
    """Rows of a suite's sweeps. `hardware`: what they were measured on, in words. `sweep`: the
    sweep of the suite that has these cells."""

    hardware: str
    folder: Path
    sweep: str


class Suite(NamedTuple):
    """A version of a suite. `sweeps`: the name of each sweep → SHA-256 of its file."""

    name: str
    sweeps: dict[str, str]
    references: tuple[Reference, ...]

    @property
    def hash(self) -> str:
        """Return the first 12 digits of the SHA-256 over the hashes of the files."""
        return hashlib.sha256("\n".join(sorted(self.sweeps.values())).encode()).hexdigest()[:12]


UNIVERSAL_V1 = Suite(
    "universal-v1",
    sweeps={
        "universal-v1-small": "c65b3ed2aa30fbdca65b3d6bcf1a5f0185e2f5d8f95a22307b550347bd0ce411",
        "universal-v1-cores": "11ccc4c9aa541ef67915dbc0c24131b6dd1a39d7daab21d613aa8d86933ec93e",
        "universal-v1-gpu": "ecea087886f7a45caf328631f15036be0047ba40a3431b409f2c20d5be885ebd",
        "universal-v1-cluster": "92e24502765b8797740ebea411642e6ded175f9d2afa3904c4f97334eb4847fd",
    },
    references=(
        Reference(
            "two cores of an AMD EPYC",
            REFERENCES / "universal-v1" / "amd-epyc-2-cores",
            "universal-v1-small",
        ),
        Reference(
            "one NVIDIA H200",
            REFERENCES / "universal-v1" / "nvidia-h200",
            "universal-v1-gpu",
        ),
    ),
)

SUITES = {suite.name: suite for suite in (UNIVERSAL_V1,)}


def suite_named(name: str) -> Suite:
    """Return the suite. Raise UserError for a name that none has."""
    if name not in SUITES:
        known = ", ".join(SUITES)
        raise UserError(
            f"--against {name[:60]!r}: the suites are {known}{did_you_mean(name, list(SUITES))}"
        )
    return SUITES[name]


def places_of(place: str) -> list[str]:
    """Return the stores that a place names: a suite's reference rows, or the place itself. A folder
    of that name comes before the suite."""
    if place in SUITES and not Path(place).exists():
        return [str(reference.folder) for reference in SUITES[place].references]
    return [place]


def text_hash(text: bytes) -> str:
    """Return the SHA-256 of a sweep file's text."""
    return hashlib.sha256(text).hexdigest()
