"""Train one language model by several processes: each holds an equal part of the weights, gradients
and moments (FSDP2), and sees a slice of the windows.

    processes = Processes(rank, count)  # in each process of a torch.distributed group
    processes.shard(model, device)
    kept = checkpoint if rank == 0 else None
    train_language(model, corpus.train, config, order, device, kept, processes)

Every process runs the same loop over the same windows, and passes its slice of them through the
model. A gradient is the sum of the processes' mean gradients, weighted by the sizes of their
slices. Up to rounding, one process would have the same. `ALONE` is one process by itself, for which
all of this does nothing.

PyTorch FSDP2 (the idea: Zhao et al. 2023, arXiv 2304.11277): each parameter is a DTensor cut along
its first dimension.
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
    """This process's place among those that train one model together. All processes must call every
    method but `slice_of`."""

    rank: int = 0
    count: int = 1  # pyright: ignore[reportIncompatibleMethodOverride]  (tuple.count)

    def shard(self, model: nn.Module, device: torch.device) -> None:
        """Give each process its part of the weights, on the device.

        The model must be on the CPU, and the same in every process. Its blocks are moved one by
        one, so that no device ever holds all of them.
        """
        if self.count == 1:
            model.to(device)
            return

        from torch.distributed.device_mesh import init_device_mesh

        # Takes seconds to import, and most runs have one process.
        from torch.distributed.fsdp import FSDPModule, fully_shard

        mesh = init_device_mesh(device.type, (self.count,))
        for block in blocks(model):
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)  # the rest: embeddings and head, which may be one tensor

        for module in model.modules():
            # Sums of gradients, not means: slices differ in size. Gloo can only sum anyway.
            if isinstance(module, FSDPModule):
                module.set_gradient_divide_factor(1.0)
                module.set_force_sum_reduction_for_comms(True)

    def slice_of(self, rows: np.ndarray) -> np.ndarray:
        """Return this process's slice of some rows. Slices differ by at most 1 in size, and may be
        empty."""
        if self.count == 1:
            return rows
        return np.array_split(rows, self.count)[self.rank]

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes of a tensor that each has on its device."""
        if self.count == 1:
            return tensor
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def all_finite(self, tensors: list[Tensor], device: torch.device) -> bool:
        """Return whether these tensors, of which each process has its part, hold no inf or NaN."""
        parts = tensors if self.count == 1 else [_local(tensor) for tensor in tensors]
        finite = all(bool(part.isfinite().all()) for part in parts)
        not_finite = torch.tensor(int(not finite), device=device)
        return not int(self.all_reduce(not_finite))

    def broadcast(self, value: T) -> T:
        """Return the first process's value. It travels between the hosts' CPUs, so nobody waits for
        a device."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=CPU)
        return box[0]

    def broadcast_flag(self, yes: bool) -> bool:
        """Return the first process's flag. This is quicker than `broadcast`, because it is called
        in every step."""
        if self.count == 1:
            return yes
        box = torch.tensor(yes)
        dist.broadcast(box, src=0)
        return bool(box)

    def all_gather(self, tensor: Tensor) -> Tensor:
        """Return the tensors (N, …) of all processes one after another: (count · N, …), on the
        CPU."""
        if self.count == 1:
            return tensor
        parts = [torch.empty_like(tensor, device=CPU) for _ in range(self.count)]
        dist.all_gather(parts, tensor.detach().cpu())
        return torch.cat(parts)

    def gather(self, named: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return each sharded tensor in one piece, on the CPU of the first process. The other
        processes get none."""
        if self.count == 1:
            return named

        from torch.distributed.tensor import DTensor

        gathered = {}
        # One at a time, so that a device never holds more than one.
        for name, tensor in named.items():
            full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
            if self.rank == 0:
                gathered[name] = full.detach().cpu()
        return gathered

    @torch.no_grad()
    def scatter(self, full: dict[str, Tensor], into: dict[str, Tensor]) -> None:
        """Set sharded tensors to the whole tensors of the same names in the first process: the
        inverse of `gather`."""
        if self.count == 1:
            for name, tensor in into.items():
                tensor.copy_(full[name])
            return

        from torch.distributed.tensor import DTensor, distribute_tensor

        for name, tensor in into.items():
            part = _local(tensor)
            if self.rank == 0:
                source = full[name].to(part.device)
            else:
                source = torch.empty(tensor.shape, dtype=tensor.dtype, device=part.device)

            if isinstance(tensor, DTensor):
                sharded = distribute_tensor(source, tensor.device_mesh, tensor.placements)
                part.copy_(sharded.to_local())
            else:
                dist.broadcast(source, src=0)
                part.copy_(source)


ALONE = Processes()


def blocks(model: nn.Module) -> list[nn.Module]:
    """Return a transformer's blocks: the items of its lists of modules that hold attention."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return [block for items in lists for block in items if _has_attention(block)]


def _has_attention(block: nn.Module) -> bool:
    return any(transformer_group(name) == "attention" for name, _ in block.named_parameters())


def _local(tensor: Tensor) -> Tensor:
    """Return the part of a tensor that lies in this process."""
    from torch.distributed.tensor import DTensor

    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
