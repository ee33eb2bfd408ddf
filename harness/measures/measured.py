"""Define what the instruments return for one model."""

from typing import NamedTuple

from harness.store.schema import Columns


class Measured(NamedTuple):
    """A model's measured columns, and the picture that goes with them."""

    columns: Columns
    pictures: bytes | None = None
    """The smallest changes found at the first points, as a PNG. None where inputs are not
    images."""
