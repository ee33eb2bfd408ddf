"""The strips of smallest changes: what is drawn where, and which points are shown.

Run alone: python -m pytest tests/measures/test_picture_strip.py
"""

import io

import numpy as np
import torch
from PIL import Image

from harness.measures.picture_strip import GAP, IMAGES, MAGNIFIED, Strip, strip

NAMES = [str(i) for i in range(9)]


def drawn(
    x: torch.Tensor, changed: torch.Tensor, box: tuple[float, float] = (0.0, 1.0)
) -> Strip | None:
    names = NAMES[: len(x)]
    return strip(x, changed, box, names, names, names, [0.5] * len(x))


def pixels(found: Strip) -> np.ndarray:
    image = Image.open(io.BytesIO(found.png))
    return np.asarray(image)[::MAGNIFIED, ::MAGNIFIED]


def test_image_change_and_sum_stand_side_by_side():
    x = torch.full((1, 1, 4, 5), 0.2)
    changed = x.clone()
    changed[0, 0, 1, 2], changed[0, 0, 3, 4] = 1.0, 0.0
    found = drawn(x, changed)

    assert found is not None
    whole = pixels(found)
    assert whole.shape == (4, 3 * 5 + 2 * GAP)

    image, change, total = whole[:, :5], whole[:, 5 + GAP : 10 + GAP], whole[:, 10 + 2 * GAP :]
    assert set(image.flatten().tolist()) == {51}
    assert change[0, 0] in (127, 128), "no change is middle grey"
    assert change[1, 2] == 255, "the largest change reaches the end of the scale"
    assert change[3, 4] == 96, "−0.2 of 0.8, around 127.5"
    assert (total[1, 2], total[3, 4], total[0, 0]) == (255, 0, 51)


def test_points_without_a_change_are_left_out_and_only_a_few_are_shown():
    x = torch.rand(9, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    changed = x + 0.1
    changed[0] = torch.nan
    found = drawn(x, changed)

    assert (
        found is not None
        and [row["label"] for row in found.rows] == ["1", "2", "3", "4", "5"]
        and len(found.rows) == IMAGES
    )
    assert pixels(found).shape[0] == IMAGES * (4 + GAP) - GAP
    assert drawn(x[:1], changed[:1]) is None


def test_colours_and_other_boxes():
    x = torch.zeros(1, 3, 2, 2)
    found = drawn(x, x + torch.tensor([1.0, 0.0, -1.0]).reshape(1, 3, 1, 1), box=(-1.0, 1.0))
    assert found is not None
    whole = pixels(found)
    assert whole.shape == (2, 3 * 2 + 2 * GAP, 3)
    assert whole[0, 0].tolist() == [128, 128, 128] and whole[0, -1].tolist() == [255, 128, 0]
