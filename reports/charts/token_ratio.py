"""Describe a ladder's measures against tokens per parameter and against loss: one colour a size."""

import numpy as np
import pandas as pd

from reports.charts.chart import TICK, Chart, Drawing, Line, Marks, Scale
from reports.charts.style import COLOURS, QUIET, SHAPES, steps
from reports.fits.plane import Plane
from reports.published.tables import language_models
from reports.token_ratio import Fitted, TokenRatio

SWITCH = "sensitivity"
BELOW = 0.8
"""Height of the published models' ticks, as a share of the smallest value."""


def ratio_chart(ladder: TokenRatio) -> Chart | None:
    """Draw each measure against tokens per parameter: trials, the fitted power law along each size,
    and the places of published models, whose sensitivity is not known."""
    return _chart(ladder, "Sensitivity against tokens per parameter", against_loss=False)


def loss_chart(ladder: TokenRatio) -> Chart | None:
    """Draw each measure against held-out loss: trials of one size are joined."""
    return _chart(ladder, "Sensitivity against loss", against_loss=True)


def _chart(ladder: TokenRatio, title: str, against_loss: bool) -> Chart | None:
    drawings = [_drawing(ladder.trials, own, against_loss) for own in ladder.fits]
    shown = tuple(drawing for drawing in drawings if drawing is not None)
    if not shown:
        return None
    return Chart(title, shown, SWITCH if len(shown) > 1 else "")


def _drawing(trials: pd.DataFrame, fitted: Fitted, against_loss: bool) -> Drawing | None:
    column = fitted.measure.column
    rows = trials[trials[column].gt(0)]
    if rows.empty:
        return None

    sizes = sorted(rows["p"].unique())
    colours = steps(COLOURS[0], len(sizes))
    marks, lines = [], []
    for i, (size, colour) in enumerate(zip(sizes, colours, strict=True)):
        own = rows[rows["p"].eq(size)].sort_values("tokens_seen")
        x = own["test_loss"] if against_loss else own["tokens_seen"] / size
        one = Marks(
            f"p = {size:,.0f}",
            tuple(x.astype(float)),
            tuple(own[column].astype(float)),
            colour,
            SHAPES[i % len(SHAPES)],
            trials=tuple(own["trial_id"]),
            joined=against_loss,
        )
        marks.append(one)
        if not against_loss and not isinstance(fitted.plane, str):
            lines.append(_along(fitted.plane, float(size), own["tokens_seen"], colour))

    made_of = f"{len(rows):,} trials, one mark each."
    if not against_loss:
        ticks = _published(BELOW * float(rows[column].min()))
        marks.append(ticks)
        made_of += f" {len(ticks.x)} published models, of which only the place is known."
    return Drawing(
        Scale("held-out loss, nats per token" if against_loss else "tokens per parameter, D/N"),
        Scale(fitted.measure.name),
        tuple(marks),
        tuple(lines),
        value=column,
        label=fitted.measure.short,
        caption=fitted.sentence,
        made_of=made_of,
        height=380,
    )


def _along(plane: Plane, size: float, tokens: pd.Series, colour: str) -> Line:
    """Return the fitted measure at one size."""
    d = np.geomspace(float(tokens.min()), float(tokens.max()), 20)
    return Line(tuple(d / size), tuple(plane.at(np.full_like(d, size), d)), colour)


def _published(height: float) -> Marks:
    """Return a tick at each published model's tokens per parameter."""
    placed = [
        (model, model.tokens / model.parameters) for model in language_models() if model.tokens
    ]
    return Marks(
        "published models: place only",
        tuple(ratio for _, ratio in placed),
        (height,) * len(placed),
        QUIET,
        TICK,
        size=10,
        texts=tuple(
            f"{model.name}: {ratio:.3g} tokens per parameter. {model.source} ({model.verified})"
            for model, ratio in placed
        ),
    )
