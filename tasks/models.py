"""The two model families that the built-in tasks share: ReLU MLPs and Madry et al.'s CNN.

Both are plain nn.Sequential, so that an instrument can walk through the layers. A layer of one's
own that says `lipschitz: float`, its Lipschitz constant in l2
(harness/measures/layer_constants.py), lets the whole model have a bound; one that says `affine: (a,
b)`, being a·x + b, costs nothing where an MLP is measured (harness/training/stack.py).
"""

from collections import OrderedDict

from torch import Tensor, nn


class Standardize(nn.Module):
    """(x − mean) / std with fixed numbers: input scaling lives in the model, so that distances
    are measured in the data's own space."""

    elementwise = True

    def __init__(self, mean: float, std: float):
        super().__init__()
        self.mean, self.std = mean, std
        self.lipschitz = 1 / abs(std)
        self.affine = (1 / std, -mean / std)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def mlp(inputs: int, width: int, depth: int, outputs: int) -> nn.Sequential:
    """A ReLU network with `depth` hidden layers of `width` units, (B, *) to (B, outputs).
    PyTorch's default init."""
    sizes = [inputs, *[width] * depth]
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))


def MadryCNN(c: int, outputs: int) -> nn.Sequential:
    """The capacity-c MNIST network of Madry et al. 2018 (arXiv 1706.06083, Fig. 4), (B, 1, 28, 28)
    to (B, outputs).

    conv5×5 (2c) – pool – conv5×5 (4c) – pool – fc 64c – fc `outputs`; "same" padding.
    Parameters at c = 1, 2, 4, 8, 16 with 10 outputs: 13 514, 52 506, 206 954, 821 706, 3 274 634.
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 2 * c, 5, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(2 * c, 4 * c, 5, padding=2),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(7 * 7 * 4 * c, 64 * c),
            relu3=nn.ReLU(),
            fc2=nn.Linear(64 * c, outputs),
        )
    )
