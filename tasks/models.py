"""The two model families that the built-in tasks share: ReLU MLPs and Madry et al.'s CNN.

Both are plain nn.Sequential, so that an instrument can walk through the layers. A custom layer can
declare two facts about itself. With `lipschitz: float`, its Lipschitz constant in l2, the whole
model has an upper bound (harness/measures/layer_constants.py). With `affine: (a, b)`, if it is the
function a·x + b, it costs nothing when an MLP is measured (harness/training/layer_stack.py).
"""

from collections import OrderedDict

from torch import Tensor, nn


class Standardize(nn.Module):
    """Map x to (x − mean) / std with fixed numbers. Inputs are scaled in the model, so that
    distances are measured in the data's own space."""

    elementwise = True

    def __init__(self, mean: float, std: float):
        super().__init__()
        self.mean = mean
        self.std = std
        self.lipschitz = 1 / abs(std)
        self.affine = (1 / std, -mean / std)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def mlp(inputs: int, width: int, depth: int, outputs: int) -> nn.Sequential:
    """Return a ReLU network with `depth` hidden layers of `width` units, (B, *) to (B, outputs), at
    PyTorch's default initial weights."""
    layers: list[nn.Module] = [nn.Flatten()]
    size = inputs
    for _ in range(depth):
        layers += [nn.Linear(size, width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, outputs))


def MadryCNN(c: int, outputs: int) -> nn.Sequential:
    """Return the capacity-c MNIST network of Madry et al. 2018 (arXiv 1706.06083, Fig. 4),
    (B, 1, 28, 28) to (B, outputs).

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
