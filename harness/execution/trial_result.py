"""What a trial leaves behind: the columns of its row, and the files that the row names."""

from typing import NamedTuple

from harness.store.schema import Columns


class TrialResult(NamedTuple):
    """A trial's columns, and the content of its files.

    Every value is plain, so that `tuple(result)` can travel from a Ray worker to a driver that
    imported this package from another place. The driver makes `TrialResult(*values)` of it.
    """

    columns: Columns
    weights: bytes | None = None
    """The final weights as a safetensors file. None when the trial failed, was not trained, or its
    weights take more than `RunSettings.weights_bytes`."""
    pictures: bytes | None = None
    """The smallest changes found of a few images, as a PNG. None where inputs are not images."""

    @property
    def failure_kind(self) -> str | None:
        """One of `harness.errors.FAILURE_KINDS`; None when the trial is ok."""
        return self.columns.get("failure_kind")
