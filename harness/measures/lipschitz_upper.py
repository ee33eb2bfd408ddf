"""A certified upper bound on a network's Lipschitz constant, and the distance to the decision
boundary that it certifies.

In l2 the constant of a chain of layers is at most the product of the layers' own constants (Szegedy
et al. 2014, arXiv 1312.6199). Each is exact or an upper bound:

- Linear: the largest singular value, from all eigenvalues of the smaller Gram matrix.
- Convolution: the largest singular value of the linear map at its actual input size, by Lanczos,
  raised by the residual and never above a bound for which Lanczos is not needed (Sedghi, Gupta &
  Long 2019, arXiv 1805.10408). It is an upper bound provided that Lanczos found the top of the
  spectrum, which it starts towards at random; a residual says how near some singular value is, not
  that it is the largest.
- Average pooling: the same, with a bound of its own. Maxima: by the number of windows that one
  input lies in.
- Functions of single numbers: their steepest slope.
- A module that declares `lipschitz: float`: that number. This is how a layer of one's own takes
  part: the attribute (or property) is its Lipschitz constant in l2 from input to output in
  evaluation mode, finite and not negative.

A model with anything else has no bound, and a note says which module is to blame. The bound holds
in real arithmetic and evaluation mode, for all of R^d; outputs computed in float32 can differ by
their rounding more than it allows.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor, nn

MARGIN_FACTOR = math.sqrt(2)
"""A margin z_k − z_j is at most √2 times as steep as the logits: it is their product with e_k −
e_j, of length √2."""

LANCZOS_TOLERANCE: Any = 1e-6
"""Relative residual at which the iteration stops. (scipy has no types, and the checker takes its
default 0 for one.)"""

LANCZOS_RESTARTS = 100
DENSE_NUMBERS = 2**20
"""Convolutions and averages whose matrix has no more numbers than this are written out, and need
no Lanczos."""


class Upper(NamedTuple):
    """An upper bound on ‖f(u) − f(v)‖ / ‖u − v‖ for all inputs u, v.

    product: product of the layers' constants, output per raw unit of input; None where there is no
    bound. residual: largest relative residual ‖AᵀAv − σ²v‖ / σ² of a layer's norm, by which that
    norm was raised; 0 where none was iterated. note: why there is no bound; None where there is
    one.
    """

    product: float | None
    residual: float
    note: str | None


class Constant(NamedTuple):
    """One layer's Lipschitz constant, +inf where it has none, and the relative residual that is
    already in it."""

    value: float
    residual: float = 0.0


@torch.no_grad()
def upper(module: nn.Module, input_shape: tuple[int, ...]) -> Upper:
    """The product of the layers' constants for a nested nn.Sequential in evaluation mode.
    `input_shape`: without the batch."""
    layers = list(_layers(module))
    rules = [rule for layer in layers if (rule := _rule(layer))]
    if len(rules) < len(layers):
        unknown = dict.fromkeys(type(layer).__name__ for layer in layers if not _rule(layer))
        return Upper(None, 0.0, f"no bound is known for {', '.join(unknown)}")
    if not all(bool(p.isfinite().all()) for p in module.parameters()):
        return Upper(None, 0.0, "some weights are not finite")
    like = next(module.parameters(), torch.zeros(()))
    x = torch.zeros(1, *input_shape, dtype=like.dtype, device=like.device)
    product, residual = 1.0, 0.0
    for layer, rule in zip(layers, rules, strict=True):
        constant = rule(layer, x)
        product, residual = product * constant.value, max(residual, constant.residual)
        if not math.isfinite(product):
            return Upper(
                None, residual, f"the product is not finite from {type(layer).__name__} on"
            )
        # the shapes that later layers see; dropout might draw random numbers
        x = x if rule is _dropout else layer(x)
    return Upper(product, residual, None)


def log_probability_factor(classes: int) -> float:
    """√K: the K log-probabilities are at most this much steeper than the logits z.

    The Jacobian of log_softmax is P = I − 1pᵀ with p = softmax(z). P² = P, and a projection other
    than 0 and I has the norm of its complement (Szyld 2006, Numer. Algorithms 42): ‖P‖ = ‖1pᵀ‖ =
    √K·‖p‖ ≤ √K, with equality when p is a corner.
    """
    return math.sqrt(classes)


def certified_distance(margin: Tensor, upper: float, classes: int | None) -> Tensor:
    """(B,) l2 distances within which no input has another label, in the unit of input that `upper`
    is per.

    margin: (B,), f for a ±1 target, top logit minus runner-up for K classes. f must change by |f|
    to change its sign, a margin is √2 times as steep as the logits (Tsuzuku et al. 2018, arXiv
    1802.04034). A constant model: +inf everywhere.
    """
    slope = upper if classes is None else MARGIN_FACTOR * upper
    return margin.abs() / slope if slope > 0 else torch.full_like(margin, math.inf)


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """The modules of nested nn.Sequential in order of their calls."""
    if (
        isinstance(module, nn.Sequential)
        and _rule(module) is None
        and _runs_as(module, nn.Sequential)
    ):
        for child in module:
            yield from _layers(child)
    else:
        yield module


def _rule(layer: nn.Module) -> Callable[[Any, Tensor], Constant] | None:
    """How a layer's constant is found from the layer and an input of the right shape; None where
    nobody knows."""
    if hasattr(layer, "lipschitz"):
        return lambda layer, x: Constant(float(layer.lipschitz))
    return next((rule for kind, rule in RULES.items() if _runs_as(layer, kind)), None)


def _runs_as(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a module computes what its base class does: a subclass may have another forward,
    and hooks may change anything."""
    hooks = module._forward_hooks or module._forward_pre_hooks
    return isinstance(module, kind) and type(module).forward is kind.forward and not hooks


def largest_singular_value(matrices: Tensor) -> float:
    """The largest over all of (..., m, n), real or complex, raised by what rounding in float64 may
    have taken.

    From the smaller Gram matrix, many times cheaper than an SVD. Squaring spoils small singular
    values, not the largest: the Gram matrix is wrong by at most u·n·‖A‖_F² and ‖A‖_F² ≤ m·‖A‖²,
    with u the unit roundoff and m ≤ n.
    """
    a = matrices.to(torch.complex128 if matrices.is_complex() else torch.float64)
    scale = float(a.abs().max())
    if scale == 0:
        return 0.0
    a = (a if a.shape[-2] <= a.shape[-1] else a.mH) / scale
    top = float(torch.linalg.eigvalsh(a @ a.mH)[..., -1].max())
    return scale * math.sqrt(top) * (1 + a.shape[-2] * a.shape[-1] * torch.finfo(torch.float64).eps)


def _linear(layer: nn.Linear, x: Tensor) -> Constant:
    return Constant(largest_singular_value(layer.weight.cpu()))


Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


def _convolution(layer: Convolution, x: Tensor) -> Constant:
    """The layer's own code in float64 and without bias: any stride, padding, dilation and
    groups."""
    weight = layer.weight.detach().double().cpu()
    scale = float(weight.abs().max())
    if scale == 0:
        return Constant(0.0)
    weight = weight / scale
    # Paddings other than zeros repeat inputs, and are no restriction of a torus.
    most = torus_bound(layer, weight, x.shape[2:]) if layer.padding_mode == "zeros" else math.inf
    found = _linear_map(lambda v: layer._conv_forward(v, weight, None), x.shape, most)
    return Constant(scale * found.value, found.residual)


def _linear_map(forward: Callable[[Tensor], Tensor], shape: torch.Size, most: float) -> Constant:
    """The norm of a linear map of float64 inputs (1, …), known to be at most `most`. Its
    transpose is its backward pass."""
    origin = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        image = forward(origin)
    if origin.numel() * max(origin.numel(), image.numel()) <= DENSE_NUMBERS:
        impulses = torch.eye(origin.numel(), dtype=torch.float64).unflatten(1, shape[1:])
        return Constant(largest_singular_value(forward(impulses).flatten(1)))

    def gram(v: np.ndarray) -> np.ndarray:
        there = forward(torch.tensor(v).reshape(shape))
        return torch.autograd.grad(image, origin, there, retain_graph=True)[0].flatten().numpy()

    return min(_lanczos(gram, origin.numel()), Constant(most))


def _lanczos(gram: Callable[[np.ndarray], np.ndarray], size: int) -> Constant:
    """√ of the largest eigenvalue of AᵀA, raised by the residual; +inf where Lanczos does not
    settle, or cannot begin."""
    operator = LinearOperator((size, size), matvec=gram, dtype=np.float64)  # pyright: ignore[reportCallIssue]
    start = np.random.default_rng(0).standard_normal(size)
    try:
        _, vectors = eigsh(
            operator, k=1, which="LA", v0=start, tol=LANCZOS_TOLERANCE, maxiter=LANCZOS_RESTARTS
        )
    except ArpackError:
        return Constant(math.inf)
    v = vectors[:, 0]
    image = gram(v)
    square = float(v @ image) / float(v @ v)
    residual = float(np.linalg.norm(image - square * v) / (square * np.linalg.norm(v)))
    return Constant(math.sqrt(square) * (1 + residual), residual)


def torus_bound(layer: Convolution, weight: Tensor, size: tuple[int, ...]) -> float:
    """An upper bound on the norm of a zero-padded convolution with `weight` on inputs of `size`,
    without iteration.

    Zero padding embeds inputs isometrically in a torus of the padded size. On it the circular
    convolution's outputs at the positions s·i, where no window wraps around, are the layer's
    outputs: leaving out the others cannot lengthen. Fourier transforms turn the circular
    convolution into one matrix of channels for each frequency ω, Σ_k W[k] exp(2πi ω·k/size), so its
    norm is the largest of their norms. Exact for circular maps; with a stride it ignores what the
    others would add.
    """
    padding = _padding(layer)
    torus = [n + p for n, p in zip(size, padding, strict=True)]
    halved = [*torus[:-1], torus[-1] // 2 + 1]  # a real kernel has conjugate matrices at ω and −ω
    frequencies = _grid([torch.arange(f).double() / n for f, n in zip(halved, torus, strict=True)])
    offsets = _grid(
        [
            torch.arange(k).double() * d
            for k, d in zip(weight.shape[2:], layer.dilation, strict=True)
        ]
    )
    phases = torch.exp(2j * math.pi * (frequencies @ offsets.T))
    kernel = weight.flatten(2).unflatten(0, (layer.groups, -1)).to(phases.dtype)
    at_once = max(1, 2**22 // weight.numel())
    return max(
        largest_singular_value(torch.einsum("fk,goik->fgoi", part, kernel))
        for part in phases.split(at_once)
    )


def _padding(layer: Convolution) -> list[int]:
    """Zeros added on each axis, both sides together."""
    if isinstance(layer.padding, str):
        return [
            d * (k - 1) if layer.padding == "same" else 0
            for d, k in zip(layer.dilation, layer.kernel_size, strict=True)
        ]
    return [2 * p for p in layer.padding]


def _grid(axes: list[Tensor]) -> Tensor:
    """(product of lengths, axes)."""
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)


def _max_pool(layer: nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d, x: Tensor) -> Constant:
    """√m, m the most windows that one input lies in: 1 where windows do not overlap.

    A maximum moves by no more than the largest change in its window, so the squared changes of all
    outputs sum to at most m times those of the inputs, with equality for an input that is the
    maximum wherever it is seen. With stride s and dilation d an input is seen by the kernel's
    places j with j·d ≡ its position (mod s): every s/gcd(s, d)-th.
    """

    def each(value: int | tuple[int, ...]) -> tuple[int, ...]:
        return value if isinstance(value, tuple) else (value,) * (x.dim() - 2)

    axes = zip(each(layer.kernel_size), each(layer.stride), each(layer.dilation), strict=True)
    return Constant(math.sqrt(math.prod(math.ceil(k * math.gcd(s, d) / s) for k, s, d in axes)))


def _avg_pool(layer: nn.AvgPool1d | nn.AvgPool2d | nn.AvgPool3d, x: Tensor) -> Constant:
    """A linear map of numbers ≥ 0. Schur's test bounds it: ‖A‖² ≤ (largest row sum) · (largest
    column sum)."""
    ones = torch.ones(x.shape, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        rows = layer(ones)
        (columns,) = torch.autograd.grad(rows.sum(), ones)
    return _linear_map(layer, x.shape, math.sqrt(float(rows.detach().max()) * float(columns.max())))


def _reshaping(layer: nn.Flatten | nn.Unflatten, x: Tensor) -> Constant:
    return Constant(1.0)


def _dropout(layer: nn.Module, x: Tensor) -> Constant:
    """The identity in evaluation mode."""
    return Constant(1.0)


def _gelu(layer: nn.GELU) -> float:
    """Φ(√2) + √2·φ(√2) for x·Φ(x), whose slope Φ(x) + x·φ(x) is steepest at √2; the tanh form's
    maximum rounded up."""
    return (
        0.5 * (1 + math.erf(1)) + math.exp(-1) / math.sqrt(math.pi)
        if layer.approximate == "none"
        else 1.12900
    )


def _softplus(layer: nn.Softplus) -> float:
    """1, unless the threshold beyond which torch returns x itself makes a jump: of
    exp(−threshold)/β, 3e-8/β at 17."""
    return 1.0 if layer.threshold >= 17 else math.inf


SLOPES: dict[type[nn.Module], Callable[[Any], float]] = {
    nn.Identity: lambda layer: 1.0,
    nn.ReLU: lambda layer: 1.0,
    nn.LeakyReLU: lambda layer: max(1.0, abs(layer.negative_slope)),
    nn.ELU: lambda layer: max(1.0, abs(layer.alpha)),
    nn.GELU: _gelu,
    nn.SiLU: lambda layer: 1.09984,  # x·sigmoid(x) is steepest at 2.3994, rounded up
    nn.Tanh: lambda layer: 1.0,
    nn.Sigmoid: lambda layer: 0.25,
    nn.Softplus: _softplus,
}
"""Steepest slopes of functions of single numbers."""

RULES: dict[type[nn.Module], Callable[[Any, Tensor], Constant]] = {
    nn.Linear: _linear,
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _convolution),
    **dict.fromkeys((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), _max_pool),
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _avg_pool),
    **{
        kind: lambda layer, x, slope=slope: Constant(slope(layer)) for kind, slope in SLOPES.items()
    },
    **dict.fromkeys((nn.Flatten, nn.Unflatten), _reshaping),
    **dict.fromkeys(
        (
            nn.Dropout,
            nn.Dropout1d,
            nn.Dropout2d,
            nn.Dropout3d,
            nn.AlphaDropout,
            nn.FeatureAlphaDropout,
        ),
        _dropout,
    ),
}
