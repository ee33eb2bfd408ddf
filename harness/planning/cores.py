"""The cores of this machine: a plan is made with at most these, and a run asks for no more."""

import os

from harness.errors import UserError


def cores_here() -> int:
    """Return how many cores this machine has."""
    return os.cpu_count() or 1


def refuse_more_cores_than_here(cpus: int, field: str) -> None:
    """Raise UserError when a trial on this machine is to have more cores than there are. `field` is
    where the user gave the number."""
    cores = cores_here()
    if cpus > cores:
        raise UserError(
            f"{field} is {cpus}, and this machine has {cores} cores: lower it, or name a cluster"
            " whose nodes have as many with --address"
        )
