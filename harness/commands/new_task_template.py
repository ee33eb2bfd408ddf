"""Which side of a plane does a point of a Gaussian cloud lie on? Some training labels are flipped.

unilaw check TASK_NAME.py
unilaw run TASK_NAME.yaml --task-file TASK_NAME.py
unilaw report runs/TASK_NAME
"""

import torch
from torch import nn

from harness.noise import flip_labels
from harness.task import Config, Data, Field, Seeds, Size, Task

HELD_OUT = 500
"""Points that are never trained on. Every measure is taken on them."""


class NewConfig(Config):
    """The fields that a sweep can set. Training brings its own: stop, max_epochs, batch_size, lr.

    Every field needs a default, a range and a description; `unilaw tasks` shows them.
    """

    n: int = Field(default=200, ge=10, le=100_000, description="training points")
    d: int = Field(default=20, ge=2, le=1_000, description="dimension of the cloud")

    # The law is about fits below the noise, so the level of the noise must be known.
    label_flip: float = Field(
        default=0.2, gt=0, le=0.5, description="probability that a training label is flipped"
    )

    # A Size field sets the model's size and nothing else. Rows that differ in size and seed alone
    # form one curve of the report.
    width: int = Size(64, description="hidden units")


class NewTask(Task):
    """Which side of a plane does a point lie on?"""

    name = "TASK_NAME"
    version = 1  # Raise it when the same configuration would give other results.
    Config = NewConfig

    def input_shape(self, config: NewConfig) -> tuple[int, ...]:
        """Return the shape of one input, without the batch dimension."""
        return (config.d,)

    def data(self, config: NewConfig, seeds: Seeds) -> Data:
        """Return inputs (n, *input_shape) as float32 and labels (n,), of training and held out.

        Draw from these two generators and no other: the same trial then always gets the same data,
        and models of every size see the same points.
        """
        x = torch.randn(config.n + HELD_OUT, config.d, generator=seeds.generator("data"))
        clean = torch.where(x[:, 0] > 0, 1.0, -1.0)

        # Held-out labels stay clean. For K classes: int64 labels from 0 to K - 1, Data(...,
        # classes=K), K outputs of the model, and of harness.noise, in place of flip_labels,
        # resample_labels(labels, K, probability, seeds.generator("noise")).
        noisy, noise = flip_labels(clean[HELD_OUT:], config.label_flip, seeds.generator("noise"))
        return Data(
            x_train=x[HELD_OUT:],
            y_train=noisy,
            x_test=x[:HELD_OUT],
            y_test=clean[:HELD_OUT],
            noise=noise,
        )

    def model(self, config: NewConfig) -> nn.Module:
        """Return an untrained model of inputs (B, *input_shape) with outputs (B, 1), or (B, K).

        Read no data here: the model is also built without memory, to count its parameters. Samples
        must not influence each other, so use no batch norm.
        """
        return nn.Sequential(
            nn.Linear(config.d, config.width),
            nn.ReLU(),
            nn.Linear(config.width, 1),
        )
