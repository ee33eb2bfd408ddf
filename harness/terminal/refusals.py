"""Options that do not go together, or that ask for more than there is: refused before anything is
read."""

from harness.errors import UserError
from harness.planning.cores import refuse_more_cores_than_here
from harness.store.store import Store
from harness.sweeps.gpu_shares import rounded
from harness.sweeps.sweep import Resources, Sweep


def refuse_inline_on_a_cluster(inline: bool, address: str | None) -> None:
    """Raise UserError when --inline and --address are both given."""
    if inline and address is not None:
        raise UserError(
            "--inline runs in this process and --address on a cluster; give one of them"
        )


def measuring_resources(cpus: int, gpus: float, address: str | None) -> Resources:
    """Return what each batch of `unilaw measure` is given.

    Raises UserError for a number of GPUs that no batch can have, and for more cores than there are.
    """
    if not (gpus in (0, 1) or (0 < gpus < 1 and rounded(gpus))):
        raise UserError(
            f"--gpus {gpus:g}: must be 0, 1, or a share 1/k of one GPU (0.5, 0.3333, 0.25, …)"
        )
    if address is None:
        refuse_more_cores_than_here(cpus, "--cpus")
    return Resources(cpus=cpus, gpus=gpus)


def create_store(sweep: Sweep, store: str | None) -> Store:
    """Open the store that the command names, or the sweep file's; raise UserError at the line that
    names it."""
    try:
        return Store.create(sweep.store if store is None else store)
    except UserError as e:
        raise UserError(f"{sweep.store_where}: {e}" if store is None else str(e)) from None
