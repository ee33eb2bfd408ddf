"""Draw the smallest changes found: for a few held-out images the image, the change, and their sum.

One PNG per model, one row per image. The change is drawn around middle grey and stretched to the
full range, because by itself it is hardly visible. Changes are the smallest in all of R^d. Pixels
of a sum that leave the box are drawn at its ends, so the picture can differ from the model's input.
"""

import io
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

IMAGES = 5
"""Most rows of a picture."""
MAGNIFIED = 3
GAP = 2
"""White space between the images, in their own pixels."""


class Strip(NamedTuple):
    """A picture, and the entries of the column `pictures` for its rows."""

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
    """Draw the first IMAGES points at which a change was found; None where there is no such point.

    x and `changed` (B, C, H, W), C 1 or 3, are in the inputs' own numbers; `changed` is NaN where
    no change was found. The strings and distances (in data units) go into the rows.
    """
    drawn = [i for i in range(len(x)) if bool(changed[i].isfinite().all())][:IMAGES]
    if not drawn:
        return None

    lines = [_line(x[i], changed[i], box) for i in drawn]
    whole = np.concatenate(lines, axis=0)[:-GAP, :-GAP]
    image = Image.fromarray(whole.squeeze(2) if whole.shape[2] == 1 else whole)
    size = (MAGNIFIED * image.width, MAGNIFIED * image.height)
    file = io.BytesIO()
    image.resize(size, Image.Resampling.NEAREST).save(file, "PNG", optimize=True)

    rows = [
        {"label": label[i], "before": before[i], "after": after[i], "distance": distance[i]}
        for i in drawn
    ]
    return Strip(file.getvalue(), rows)


def _line(x: Tensor, changed: Tensor, box: tuple[float, float]) -> np.ndarray:
    """Return one image (C, H, W), its change and their sum side by side."""
    change = changed - x
    stretched = 0.5 + 0.5 * change / change.abs().max().clamp(min=1e-12)
    parts = [
        (x - box[0]) / (box[1] - box[0]),
        stretched,
        (changed - box[0]) / (box[1] - box[0]),
    ]
    return np.concatenate([_padded(part) for part in parts], axis=1)


def _padded(image: Tensor) -> np.ndarray:
    """Return (C, H, W) on [0, 1] as (H + GAP, W + GAP, C) bytes with a white edge."""
    pixels = (image.detach().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return np.pad(pixels, ((0, GAP), (0, GAP), (0, 0)), constant_values=255)
