"""Training radius: how far each training point lies from a wrong answer, as the model was trained
on it."""

from harness.store.column import F64, I64, UPPER, Column

TRAINING_RADIUS: tuple[Column, ...] = (
    Column(
        "training_radius",
        F64,
        "data units",
        "bayes_error/2-quantile of the distances from training points to a wrong answer, 0 where"
        " the answer is wrong, at most stability_cap; labels are those trained on, noise included;"
        " null without injected noise. With m points: the (⌊m·bayes_error/2⌋ + 1)-th smallest."
        " 0 by construction where stop_rule ends training at that error",
        bound=UPPER,
    ),
    Column(
        "training_radius_se",
        F64,
        "data units",
        "bootstrap standard error of this order statistic (Maritz & Jarrett 1978) over the draw of"
        " training points, × √(1 − training_radius_points/n); 0 where all of them were measured",
    ),
    Column("training_radius_l2", F64, "raw l2", "training_radius × data_unit", bound=UPPER),
    Column(
        "training_radius_chord",
        F64,
        "raw l2",
        "the same quantile of straight distances to wrong answers on the unit sphere itself, at"
        " most stability_cap × data_unit; null off the sphere",
        bound=UPPER,
    ),
    Column(
        "training_radius_points",
        I64,
        "samples",
        "training points that were measured: a draw without replacement, the same for every model"
        " of a grid",
    ),
    Column(
        "training_radius_censored",
        F64,
        "share",
        "these training points for which no wrong answer was found within stability_cap",
        bound=UPPER,
    ),
)
