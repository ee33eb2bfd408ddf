"""Pictures of the smallest changes found: for each of a few held-out images the image, the change,
and their sum.

One PNG per model, one row per image. The change is drawn around middle grey and stretched to the
full range, because by itself it can hardly be seen. Changes are the smallest in all of R^d: values
of a sum beyond the box are drawn at its ends, so that what the model was given can differ from the
picture.
"""

import io
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

IMAGES = 5
MAGNIFIED = 3
GAP = 2
"""Pixels of the images themselves."""


class Strip(NamedTuple):
    """The picture, and for each of its rows what the column `pictures` says."""

    png: bytes
    rows: list[dict[str, Any]]


def strip(
    x: Tensor,
    changed: Tensor,
    box: tuple[float, float],
    label: list[str],
    before: list[str],
    after: list[str],
    distance: list[float],
) -> Strip | None:
    """x and `changed` (B, C, H, W), C 1 or 3, in the inputs' own numbers; `changed` is NaN where no
    change was found: such are left out.

    None when none is left. The strings and distances (in data units) go into the rows.
    """
    found = [i for i in range(len(x)) if bool(changed[i].isfinite().all())][:IMAGES]
    if not found:
        return None
    lines = []
    for i in found:
        change = changed[i] - x[i]
        stretched = 0.5 + 0.5 * change / change.abs().max().clamp(min=1e-12)
        line = [
            (x[i] - box[0]) / (box[1] - box[0]),
            stretched,
            (changed[i] - box[0]) / (box[1] - box[0]),
        ]
        lines.append(np.concatenate([_padded(part) for part in line], axis=1))
    whole = np.concatenate(lines, axis=0)[:-GAP, :-GAP]
    image = Image.fromarray(whole.squeeze(2) if whole.shape[2] == 1 else whole)
    file = io.BytesIO()
    image.resize(
        (MAGNIFIED * image.width, MAGNIFIED * image.height), Image.Resampling.NEAREST
    ).save(file, "PNG", optimize=True)
    rows = [
        {"label": label[i], "before": before[i], "after": after[i], "distance": distance[i]}
        for i in found
    ]
    return Strip(file.getvalue(), rows)


def _padded(image: Tensor) -> np.ndarray:
    """(C, H, W) on [0, 1] as (H + GAP, W + GAP, C) bytes with a white edge."""
    pixels = (image.detach().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return np.pad(pixels, ((0, GAP), (0, GAP), (0, 0)), constant_values=255)
