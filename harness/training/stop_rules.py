"""Stop rules: when a model has fitted its data, and when it is near enough for its whole training
set to be evaluated."""

import math

from harness.task import Config, Data
from harness.training.evaluation import Evaluation

INTERPOLATION_MSE = 0.01
"""A ±1 target counts as interpolated at this mean squared error: one hundredth of the target's
variance."""

CHECK_MARGIN = 2.0
"""The whole training set is evaluated when the running figure is within this factor of the stop
level."""

LAG_MARGIN = 1.15
"""The same factor for a loss that is corrected by the model's lag."""

STANDARD_ERRORS = 3.0
"""With `check_every`, running figures are taken to be this many standard errors too high."""

INTERPOLATION_ERROR_SLACK = 0.02
"""Share of wrong labels that a margin of 2 allows where the rule allows none."""


def stop_reason(figures: Evaluation, data: Data, config: Config, margin: float = 1.0) -> str | None:
    """Return the reason to stop if the rule is met, None otherwise.

    margin: factor by which the rule's level is raised. The level of no wrong label at all is raised
    to (margin − 1) · INTERPOLATION_ERROR_SLACK.
    """
    by_loss = data.classes is None
    if config.stop == "noise":
        figure = figures.loss if by_loss else figures.error
        level = (data.noise.level - data.noise.epsilon) * margin
        return "below_noise" if figure <= level else None

    if config.stop == "interpolate":
        if by_loss:
            is_met = figures.loss <= INTERPOLATION_MSE * margin
        else:
            is_met = figures.error <= INTERPOLATION_ERROR_SLACK * (margin - 1)
        return "interpolated" if is_met else None

    return None


def may_be_met(
    running: Evaluation, samples: int, lag: Evaluation | None, data: Data, config: Config
) -> bool:
    """Return whether running figures are so near the rule's level that the whole training set must
    be evaluated.

    running: means over `samples` samples, those of an epoch or of a few steps, each batch at the
    weights it was trained from. These figures lag behind, because the model improves while they are
    taken. lag: exact figures divided by running ones, after an earlier epoch. The lag changes
    little from one epoch to the next, so without `check_every` a model that is stuck above its
    level is not evaluated in every epoch.
    """
    # Figures on an adversary's inputs say nothing about clean ones. Evaluating the clean ones costs
    # little beside such an epoch.
    if config.adversary and config.stop != "epochs":
        return True

    if config.check_every:
        lower = _three_errors_lower(running, samples)
        return bool(stop_reason(lower, data, config, CHECK_MARGIN))

    if not stop_reason(running, data, config, CHECK_MARGIN):
        return False

    interpolates_classes = config.stop == "interpolate" and data.classes is not None
    if lag is None or interpolates_classes:
        return True

    expected = Evaluation(running.loss * lag.loss, running.error * lag.error)
    margin = LAG_MARGIN if data.classes is None else CHECK_MARGIN
    return bool(stop_reason(expected, data, config, margin))


def _three_errors_lower(running: Evaluation, samples: int) -> Evaluation:
    """Return the figures, means over that many samples, minus STANDARD_ERRORS of their standard
    errors: the whole set's are hardly lower.

    A share has a standard error of at most 1/2 over the root of the samples, a mean square of
    normal residuals √2 times itself over that root.
    """
    root = math.sqrt(samples)
    loss = running.loss * max(0.0, 1 - STANDARD_ERRORS * math.sqrt(2) / root)
    error = max(0.0, running.error - STANDARD_ERRORS / 2 / root)
    return Evaluation(loss, error)
