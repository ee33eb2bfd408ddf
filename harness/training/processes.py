"""One language model trained by several processes: weights, gradients and moments in equal parts
(FSDP2), windows in slices.

    processes = Processes(rank, count)  # in each process of a torch.distributed group
    processes.shard(model, device)
    kept = checkpoint if rank == 0 else None
    train_language(model, corpus.train, config, order, device, kept, processes)

Every process runs the same loop over the same rows. Each passes its slice of them through the
model, and each gradient is the sum over the processes of means that count as their slices do: what
one process would have, up to rounding. `ALONE` is one process by itself, for which all of this does
nothing.

PyTorch FSDP2: Zhao et al. 2023 (arXiv 2304.11277) for the idea; each parameter is a DTensor cut
along its first dimension.
"""

from typing import NamedTuple, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from harness.language import transformer_group

T = TypeVar("T")

CPU = torch.device("cpu")


class Processes(NamedTuple):
    """This process's place among those that train one model together. All methods but `share`
    must be called by all of them."""

    rank: int = 0
    count: int = 1  # pyright: ignore[reportIncompatibleMethodOverride]  (tuple.count)

    def shard(self, model: nn.Module, device: torch.device) -> None:
        """Leave each process its part of the weights, on the device: block by block, so that no
        device ever holds all of them.

        The model must lie on the CPU, the same in every process.
        """
        if self.count == 1:
            model.to(device)
            return
        from torch.distributed.device_mesh import init_device_mesh

        # seconds to import, and most runs have one process
        from torch.distributed.fsdp import FSDPModule, fully_shard

        mesh = init_device_mesh(device.type, (self.count,))
        for block in blocks(model):
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)  # the rest: embeddings and head, which may be one tensor
        for module in model.modules():
            # sums of gradients, not means: slices differ in size. Gloo can only sum anyway
            if isinstance(module, FSDPModule):
                module.set_gradient_divide_factor(1.0)
                module.set_force_sum_reduction_for_comms(True)

    def share(self, rows: np.ndarray) -> np.ndarray:
        """This process's slice of some rows; sizes differ by at most 1, and may be 0."""
        return rows if self.count == 1 else np.array_split(rows, self.count)[self.rank]

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over all processes of a tensor that each has on its device."""
        if self.count == 1:
            return tensor
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def all_finite(self, tensors: list[Tensor], device: torch.device) -> bool:
        """Whether no number of these tensors, each process's part of them, is inf or NaN."""
        finite = all(
            bool(part.isfinite().all())
            for part in (tensors if self.count == 1 else map(_part, tensors))
        )
        return not int(self.summed(torch.tensor(int(not finite), device=device)))

    def broadcast(self, value: T) -> T:
        """What the first process says. Over the network between the hosts: devices are not
        waited for."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=CPU)
        return box[0]

    def broadcast_flag(self, yes: bool) -> bool:
        """The same for yes or no, quicker: it is asked in every step."""
        if self.count == 1:
            return yes
        box = torch.tensor(yes)
        dist.broadcast(box, src=0)
        return bool(box)

    def stacked(self, tensor: Tensor) -> Tensor:
        """(count · N, …): the tensors (N, …) of all processes one after another, on the CPU."""
        if self.count == 1:
            return tensor
        parts = [torch.empty_like(tensor, device=CPU) for _ in range(self.count)]
        dist.all_gather(parts, tensor.detach().cpu())
        return torch.cat(parts)

    def gather(self, named: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors, each in one piece: in the first process, on the CPU; the others get none."""
        if self.count == 1:
            return named
        from torch.distributed.tensor import DTensor

        found = {}
        # one at a time, so that a device need hold no more than one of them
        for name, tensor in named.items():
            full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
            if self.rank == 0:
                found[name] = full.detach().cpu()
        return found

    @torch.no_grad()
    def put(self, into: dict[str, Tensor], whole: dict[str, Tensor]) -> None:
        """The inverse: set the tensors to those that the first process has in one piece, of the
        same names."""
        if self.count == 1:
            for name, tensor in into.items():
                tensor.copy_(whole[name])
            return
        from torch.distributed.tensor import DTensor, distribute_tensor

        for name, tensor in into.items():
            part = _part(tensor)
            full = (
                whole[name].to(part.device)
                if self.rank == 0
                else torch.empty(tensor.shape, dtype=tensor.dtype, device=part.device)
            )
            if isinstance(tensor, DTensor):
                part.copy_(
                    distribute_tensor(full, tensor.device_mesh, tensor.placements).to_local()
                )
            else:
                dist.broadcast(full, src=0)
                part.copy_(full)


ALONE = Processes()


def blocks(model: nn.Module) -> list[nn.Module]:
    """A transformer's blocks: the items of its lists of modules that hold attention."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return [
        block
        for items in lists
        for block in items
        if any(transformer_group(name) == "attention" for name, _ in block.named_parameters())
    ]


def _part(tensor: Tensor) -> Tensor:
    """What of a tensor lies in this process."""
    from torch.distributed.tensor import DTensor

    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
