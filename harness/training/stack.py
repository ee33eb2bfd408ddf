"""Several models of one shape family as one program: parameters stacked along a first dimension,
matmuls batched.

    program = stack([mlp(784, 4), mlp(784, 8), mlp(784, 8)], probe)
    program(x)  # x: (1, B, 1, 28, 28), shared, or (3, B, 1, 28, 28) → (3, B, outputs)

Models of different widths are padded with zeros to the widest. That is exact where a zero unit
stays zero and passes nothing on (ReLU networks, MLPs and CNNs alike), and it is not assumed:
`stack` compares outputs with the models' own and looks whether the padding gets a gradient, and
raises `CannotStack` with the reason.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

ELEMENTWISE = (
    nn.Identity,
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softplus,
)
"""Modules that act on each number alone. Others say so with an attribute `elementwise = True`."""

Model = Callable[[Tensor], Tensor]
"""Anything that maps (B, *input_shape) to (B, outputs), samples apart."""

AGREEMENT = 1e-4
"""Relative difference between a stacked and a plain output that counts as rounding."""


class CannotStack(Exception):
    """Why these models cannot be one program; they then train one by one."""


class FirstLayer(NamedTuple):
    """How models that begin with a linear layer take their inputs x (M, B, inputs): as rest(x @
    weight + bias).

    weight: (M, inputs, width); bias: (M, 1, width); `rest` maps (M, B, width) to (M, B, outputs).
    """

    weight: Tensor
    bias: Tensor
    rest: Model


class Program(Protocol):
    """M models that are called at once. `parameters` are the trainable ones by name, each (M,
    *shape); `buffers` what else their modules hold."""

    parameters: dict[str, Tensor]

    @property
    def buffers(self) -> dict[str, Tensor]: ...

    def __call__(self, x: Tensor) -> Tensor:
        """(G, B, *input_shape) to (M, B, outputs): batch g goes to the models g·M/G … (g+1)·M/G
        − 1."""
        ...

    def take(self, models: Sequence[int]) -> "Program":
        """A program of some of the models, copied."""
        ...

    def unstack(self, model: int) -> nn.Module:
        """One model as it was given, with today's weights."""
        ...

    def of_inputs(self, unit: Tensor | None = None) -> Model:
        """As a function of inputs (M, B, *input_shape) alone, with today's weights; each model
        takes them times its `unit` (M,)."""
        ...

    def first_layer(self, unit: Tensor | None = None) -> FirstLayer | None:
        """The same function of the inputs as numbers in a row, taken apart; None where the
        models begin with anything else."""
        ...

    def train(self, mode: bool) -> None:
        """Training mode, or evaluation mode."""
        ...


class Alone:
    """One module of any kind, called as it is. Its parameters have no extra dimension."""

    def __init__(self, module: nn.Module):
        self.module = module
        self.parameters: dict[str, Tensor] = {
            name: p for name, p in module.named_parameters() if p.requires_grad
        }

    @property
    def buffers(self) -> dict[str, Tensor]:
        """As they are now: a module may put new tensors in their places."""
        return dict(self.module.named_buffers())

    def __call__(self, x: Tensor) -> Tensor:
        return self.module(x[0])[None]

    def take(self, models: Sequence[int]) -> "Alone":
        return Alone(copy.deepcopy(self.module))

    def unstack(self, model: int) -> nn.Module:
        return self.module

    def of_inputs(self, unit: Tensor | None = None) -> Model:
        return _times(self, unit)

    def first_layer(self, unit: Tensor | None = None) -> FirstLayer | None:
        if not _layered(self.module):
            return None
        tensors = {name: p.detach()[None] for name, p in self.module.named_parameters()}
        return LayerStack([self.module], self.module, tensors, {}).first_layer(unit)

    def train(self, mode: bool) -> None:
        self.module.train(mode)


class _Stacked:
    """What both kinds of stack share: the models, and their tensors padded to one shape and
    stacked."""

    def __init__(
        self,
        modules: Sequence[nn.Module],
        widest: nn.Module,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
    ):
        """`buffers`: parameters that are not trained, and buffers. `widest` is the model of the
        padded shapes."""
        self.modules, self.widest, self.parameters, self.fixed = (
            list(modules),
            widest,
            parameters,
            buffers,
        )

    @property
    def buffers(self) -> dict[str, Tensor]:
        return self.fixed

    def take(self, models: Sequence[int]):
        index = torch.tensor(list(models), device=next(iter(self.parameters.values())).device)
        parameters = {
            name: t.detach()[index].requires_grad_() for name, t in self.parameters.items()
        }
        buffers = {name: t[index] for name, t in self.fixed.items()}
        return type(self)([self.modules[m] for m in models], self.widest, parameters, buffers)

    @torch.no_grad()
    def unstack(self, model: int) -> nn.Module:
        module = self.modules[model]
        for name, own in module.named_parameters():
            if own.requires_grad:
                own.copy_(self.parameters[name][model][_corner(own)])
        return module


class LayerStack(_Stacked):
    """MLPs: the first layer of all models that share a batch is one matmul, later layers are
    batched ones."""

    def __init__(
        self,
        modules: Sequence[nn.Module],
        widest: nn.Module,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
    ):
        super().__init__(modules, widest, parameters, buffers)
        self.layers = list(_layers(widest))

    def __call__(self, x: Tensor) -> Tensor:
        models = len(self.modules)
        groups, h = len(x), x
        for name, layer in self.layers:
            if isinstance(layer, nn.Flatten):
                h = h.flatten(2)
            elif not isinstance(layer, nn.Linear):
                h = layer(h)
            else:
                weight = self._of(name, "weight")
                bias = None if layer.bias is None else self._of(name, "bias")
                if len(h) == models:
                    h = _own(h, weight, bias)
                else:
                    h = _shared(
                        h,
                        weight.unflatten(0, (groups, -1)),
                        None if bias is None else bias.unflatten(0, (groups, -1)),
                    )
        return h if len(h) == models else h.repeat_interleave(models // groups, 0)

    def _of(self, layer: str, tensor: str) -> Tensor:
        name = f"{layer}.{tensor}" if layer else tensor
        return self.parameters[name] if name in self.parameters else self.fixed[name]

    def of_inputs(self, unit: Tensor | None = None) -> Model:
        first = self.first_layer(unit)
        if first is None:
            return _times(self, unit)
        return lambda x: first.rest(torch.baddbmm(first.bias, x.flatten(2), first.weight))

    @torch.no_grad()
    def first_layer(self, unit: Tensor | None = None) -> FirstLayer | None:
        """The factor, and layers before the first linear one that say `affine`, go into its
        weights: for small models each of them would take longer than a matmul."""
        at = next(
            (k for k, (_, layer) in enumerate(self.layers) if isinstance(layer, nn.Linear)),
            len(self.layers),
        )
        before = [layer for _, layer in self.layers[:at]]
        if at == len(self.layers) or not all(
            isinstance(layer, (nn.Flatten, nn.Identity)) or hasattr(layer, "affine")
            for layer in before
        ):
            return None
        name, linear = self.layers[at]
        weight = self._of(name, "weight")
        bias = 0.0 if linear.bias is None else self._of(name, "bias")
        a, b = weight.new_ones(len(weight)) if unit is None else unit, weight.new_zeros(len(weight))
        for layer in before:
            if not hasattr(layer, "affine"):
                continue
            slope, shift = cast(tuple[float, float], layer.affine)
            a, b = slope * a, slope * b + shift
        rest = LayerStack(self.modules, self.widest, self.parameters, self.fixed)
        rest.layers = self.layers[at + 1 :]
        return FirstLayer(
            (weight * a[:, None, None]).mT, (bias + b[:, None] * weight.sum(2))[:, None], rest
        )

    def train(self, mode: bool) -> None:
        """Nothing to do: these layers are the same in both modes."""


def flat(program: Model, models: int) -> Model:
    """Of (M·B, …) instead of (M, B, …)."""
    return lambda z: program(z.unflatten(0, (models, -1))).flatten(0, 1)


def _times(program: Model, unit: Tensor | None) -> Model:
    return (
        program if unit is None else lambda x: program(x * unit.reshape(-1, *[1] * (x.dim() - 1)))
    )


def _own(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(M, B, in) through (M, out, in): (M, B, out). Written so that the weight's gradient comes
    out contiguous."""
    h = weight @ x.mT if bias is None else torch.baddbmm(bias[:, :, None], weight, x.mT)
    return h.mT


def _shared(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(G, B, in) through (G, S, out, in) as one matmul per group: (G·S, B, out)."""
    rows = weight.flatten(1, 2).mT
    h = x @ rows if bias is None else torch.baddbmm(bias.flatten(1)[:, None], x, rows)
    return h.unflatten(2, weight.shape[1:3]).transpose(1, 2).flatten(0, 1)


class VmapStack(_Stacked):
    """Any module, through torch.func: its own forward, vectorised over the models."""

    def __init__(
        self,
        modules: Sequence[nn.Module],
        widest: nn.Module,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
    ):
        super().__init__(modules, widest, parameters, buffers)
        self.skeleton = copy.deepcopy(widest).to("meta")

    def __call__(self, x: Tensor) -> Tensor:
        def one(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(self.skeleton, tensors, (x,))

        tensors = {
            name: t.unflatten(0, (len(x), -1))
            for name, t in {**self.parameters, **self.fixed}.items()
        }
        # Of the CPU's fused attention there is no vectorised form: it would be called once for
        # every model.
        plain = sdpa_kernel(SDPBackend.MATH) if x.device.type == "cpu" else contextlib.nullcontext()
        with plain:
            return vmap(vmap(one, (0, None)), (0, 0))(tensors, x).flatten(0, 1)

    def of_inputs(self, unit: Tensor | None = None) -> Model:
        return _times(self, unit)

    def first_layer(self, unit: Tensor | None = None) -> FirstLayer | None:
        return None

    def train(self, mode: bool) -> None:
        self.skeleton.train(mode)


def stack(modules: Sequence[nn.Module], probe: Tensor) -> Program:
    """The models as one program, on the device they are on; `probe` (B, *input_shape) is what it is
    tried on.

    Raises CannotStack when their structures differ, or when stacked or padded they are another
    function.
    """
    if len(modules) == 1:
        return Alone(modules[0])
    if (
        len({tuple((name, type(m)) for name, m in module.named_modules()) for module in modules})
        > 1
    ):
        raise CannotStack("the models' modules differ")
    if (
        len(
            {
                tuple((name, p.requires_grad) for name, p in module.named_parameters())
                for module in modules
            }
        )
        > 1
    ):
        raise CannotStack("the models' parameters differ, or which of them are trained")
    trainable = [name for name, p in modules[0].named_parameters() if p.requires_grad]
    whole = [{**dict(m.named_parameters()), **dict(m.named_buffers())} for m in modules]
    try:
        tensors = {name: _padded([w[name].detach() for w in whole]) for name in whole[0]}
        parameters = {name: tensors.pop(name).requires_grad_() for name in trainable}
        program = (LayerStack if _layered(modules[0]) else VmapStack)(
            modules, max(modules, key=_size), parameters, tensors
        )
        _check(program, modules, probe)
    except CannotStack:
        raise
    except Exception as e:  # whatever torch.func says of a model that it cannot vectorise
        raise CannotStack(
            f"{type(e).__name__}: {str(e).splitlines()[0][:200] if str(e) else ''}"
        ) from None
    return program


def _check(program: "LayerStack | VmapStack", modules: Sequence[nn.Module], probe: Tensor) -> None:
    """Raise CannotStack unless every model answers as it does alone, and no padding is ever
    touched.

    Tried at weights moved a little at random: at its first weights a model can hide a difference,
    behind a last layer of zeros for example.
    """
    tried = copy.deepcopy(modules[0]).train()
    tried(probe)
    if any(
        not torch.equal(after, before)
        for after, before in zip(tried.buffers(), modules[0].buffers(), strict=True)
    ):
        raise CannotStack("a buffer changes in training")
    first = {name: p.detach().clone() for name, p in program.parameters.items()}
    corners = [
        {name: _corner(p) for name, p in module.named_parameters() if p.requires_grad}
        for module in modules
    ]
    try:
        with torch.no_grad():
            for name, p in program.parameters.items():
                draw = torch.randn(p.shape, generator=torch.Generator().manual_seed(0)).to(p)
                for m, corner in enumerate(corners):
                    moved = p[m][corner[name]]
                    moved += (
                        0.1 * draw[m][corner[name]] * moved.abs() + 0.01 * draw[m][corner[name]]
                    )
        program.train(True)
        outputs = program(probe[None])
        for m, module in enumerate(modules):
            with torch.no_grad():
                own = functional_call(
                    module.train(),
                    {name: program.parameters[name][m][at] for name, at in corners[m].items()},
                    (probe,),
                )
            if own.shape != outputs[m].shape:
                raise CannotStack(
                    f"a model's outputs have shape {tuple(own.shape)} and in the stack"
                    f" {tuple(outputs[m].shape)}"
                )
            if not _agree(outputs[m].detach(), own):
                raise CannotStack("in the stack a model is another function than alone")
        gradients = torch.autograd.grad(
            outputs.square().sum(), list(program.parameters.values()), materialize_grads=True
        )
        for name, gradient in zip(program.parameters, gradients, strict=True):
            beyond = gradient.clone()
            for m, corner in enumerate(corners):
                beyond[m][corner[name]] = 0
            if bool(beyond.any()):
                raise CannotStack("the padding of a narrower model would be trained")
    finally:
        with torch.no_grad():
            for name, p in program.parameters.items():
                p.copy_(first[name])


def _agree(stacked: Tensor, own: Tensor) -> bool:
    return bool(own.isfinite().all()) and float((stacked - own).abs().max()) <= AGREEMENT * max(
        1.0, float(own.abs().max())
    )


def _padded(tensors: list[Tensor]) -> Tensor:
    """(M, *largest shape): each tensor in the corner of its slice, zeros beyond."""
    if len({t.dim() for t in tensors}) > 1:
        raise IndexError("numbers of dimensions")
    largest = [max(sizes) for sizes in zip(*(t.shape for t in tensors), strict=True)]
    whole = tensors[0].new_zeros(len(tensors), *largest)
    for m, tensor in enumerate(tensors):
        whole[m][_corner(tensor)] = tensor
    return whole


def _corner(tensor: Tensor) -> tuple[slice, ...]:
    return tuple(slice(size) for size in tensor.shape)


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _layers(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules of nested nn.Sequential in order of their calls, with their names."""
    if type(module) is not nn.Sequential:
        yield prefix, module
        return
    for name, child in module.named_modules(remove_duplicate=False):
        if not name or "." in name:
            continue
        yield from _layers(child, f"{prefix}.{name}" if prefix else name)


def _layered(module: nn.Module) -> bool:
    """Whether a model is nothing but linear layers and functions of single numbers, one after
    another, none tied."""
    if any(True for _ in module.buffers()) or len(
        list(module.named_parameters(remove_duplicate=False))
    ) > len(list(module.parameters())):
        return False
    return all(
        type(layer) is nn.Linear or _flattens(layer) or _elementwise(layer)
        for _, layer in _layers(module)
    )


def _elementwise(layer: nn.Module) -> bool:
    """Acts on each number alone, and alike in every model: one with parameters of its own does
    not."""
    return (type(layer) in ELEMENTWISE or getattr(layer, "elementwise", False)) and not any(
        True for _ in layer.parameters()
    )


def _flattens(layer: nn.Module) -> bool:
    return type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1)
