"""The two model families that the built-in tasks share: ReLU MLPs and Madry et al.'s CNN."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Standardize(nn.Module):
    """(x − mean) / std with fixed numbers: input scaling lives in the model, so that distances are measured in the data's own space."""

    elementwise = True

    def __init__(self, mean: float, std: float):
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def mlp(inputs: int, width: int, depth: int, outputs: int) -> nn.Sequential:
    """A ReLU network with `depth` hidden layers of `width` units, (B, *) to (B, outputs). PyTorch's default init."""
    sizes = [inputs, *[width] * depth]
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))


class MadryCNN(nn.Module):
    """The capacity-c MNIST network of Madry et al. 2018 (arXiv 1706.06083, Fig. 4).

    conv5×5 (2c) – pool – conv5×5 (4c) – pool – fc 64c – fc `outputs`; "same" padding.
    Parameters at c = 1, 2, 4, 8, 16 with 10 outputs: 13 514, 52 506, 206 954, 821 706, 3 274 634.
    """

    def __init__(self, c: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2 * c, 5, padding=2)
        self.conv2 = nn.Conv2d(2 * c, 4 * c, 5, padding=2)
        self.fc1 = nn.Linear(7 * 7 * 4 * c, 64 * c)
        self.fc2 = nn.Linear(64 * c, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 28, 28) to (B, outputs)."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))
