"""What the engine relies on in a task's data: sound data pass, and every slip is named.

Run alone: python -m pytest tests/test_data_contract.py
"""

import dataclasses
import re
from typing import Any

import pytest
import torch

from harness.noise import Noise
from harness.task import Data, check


def two_points(**changes: Any) -> Data:
    """The smallest data that a ±1 task may give, with some of it changed."""
    x, y = torch.eye(2), torch.tensor([1.0, -1.0])
    return dataclasses.replace(Data(x, y, x, y, Noise("none", 0.0, 0.0)), **changes)


SOUND = {
    "±1": two_points(),
    "classes": two_points(y_train=torch.tensor([0, 2]), y_test=torch.tensor([1, 1]), classes=3),
    "real-valued": two_points(
        y_train=torch.tensor([0.5, -1.0]), noise=Noise("additive_sign", None, 0.5, sigma2=1.0)
    ),
    "sphere": two_points(manifold="unit-sphere"),
}


@pytest.mark.parametrize("data", SOUND.values(), ids=SOUND.keys())
def test_sound_data_pass(data: Data):
    check(data, (2,), n=2)


SLIPS = {
    "noise that is no number": (
        two_points(noise=Noise("label_flip", 0.2, float("nan"))),
        "data() gave noise with bayes_error = nan; it must be a number",
    ),
    "a word for noise": (
        two_points(noise=Noise("label_flip", "some", 0.2)),  # pyright: ignore[reportArgumentType]
        "data() gave noise with eta = 'some'",
    ),
    "an unknown manifold": (
        two_points(manifold="torus"),
        "inputs lie on 'torus'; it must be one of euclidean, unit-sphere",
    ),
    "half a class": (two_points(classes=2.5), "data() says 2.5 classes"),
    "too few inputs": (
        two_points(x_train=torch.eye(2)[:1]),
        "data() gave inputs (1, 2); with n = 2 they must be (2, 2)",
    ),
    "inputs of another shape": (two_points(x_train=torch.zeros(2, 3)), "data() gave inputs (2, 3)"),
    "held-out inputs of another shape": (
        two_points(x_test=torch.zeros(2, 3)),
        "data() gave inputs",
    ),
    "too few labels": (
        two_points(y_train=torch.ones(1)),
        "labels of shape (1,) and (2,); they must be (2,) and (2,)",
    ),
    "a column of labels": (two_points(y_train=torch.ones(2, 1)), "labels of shape (2, 1)"),
    "nothing held out": (
        two_points(x_test=torch.zeros(0, 2), y_test=torch.zeros(0)),
        "at least one held out",
    ),
    "nan inputs": (two_points(x_train=torch.full((2, 2), torch.nan)), "inputs that are not finite"),
    "infinite held-out inputs": (
        two_points(x_test=torch.full((2, 2), torch.inf)),
        "inputs that are not finite",
    ),
    "whole-number labels": (
        two_points(y_train=torch.tensor([1, -1])),
        "not a float between −1 and 1; for classes set `classes`",
    ),
    "nan labels": (
        two_points(y_train=torch.tensor([1.0, torch.nan])),
        "not a float between −1 and 1",
    ),
    "large targets": (two_points(y_test=torch.tensor([1.0, 2.0])), "not a float between −1 and 1"),
    "zero as a label": (
        two_points(y_train=torch.tensor([0.0, 1.0])),
        "labels other than −1 and +1",
    ),
    "a class too many": (
        two_points(y_train=torch.tensor([0, 3]), classes=3),
        "3 classes; labels must be int64 from 0 to 2",
    ),
    "a negative class": (
        two_points(y_train=torch.tensor([0, -1]), classes=3),
        "labels must be int64 from 0 to 2",
    ),
    "float classes": (two_points(classes=3), "labels must be int64"),
    "off the sphere": (
        two_points(x_train=2 * torch.eye(2), manifold="unit-sphere"),
        "points that do not have length 1",
    ),
}


@pytest.mark.parametrize(("data", "words"), SLIPS.values(), ids=SLIPS.keys())
def test_slips_in_a_tasks_data_are_named(data: Data, words: str):
    with pytest.raises(ValueError, match=re.escape(words)):
        check(data, (2,), n=2)
