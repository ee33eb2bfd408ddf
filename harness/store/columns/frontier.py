"""The most robust fit of one size: the radius that a search reached, and what bounds it."""

from harness.store.column import BOOL, ESTIMATE, F64, I32, I64, LOWER, STR, Column

FRONTIER: tuple[Column, ...] = (
    Column(
        "frontier_radius",
        F64,
        "data units",
        "largest l2 radius at which the most robust model found loses at most bayes_error/2 of its"
        " training points; 0: none fits; at most 1; null where no frontier was searched. Low as far"
        " as training goes, high as far as the attack goes",
        bound=ESTIMATE,
    ),
    Column(
        "frontier_radius_missed",
        F64,
        "data units",
        "smallest larger radius that a training aimed at and did not reach; null where there is"
        " none, and for gradient penalties, which aim at no radius",
        bound=ESTIMATE,
    ),
    Column("frontier_radius_l2", F64, "raw l2", "frontier_radius × data_unit", bound=ESTIMATE),
    Column(
        "frontier_points",
        I64,
        "samples",
        "training points that frontier_radius was verified on; fewer than n: a draw",
    ),
    Column(
        "frontier_error",
        F64,
        "share",
        "training points found lost within frontier_radius by the verification",
        bound=LOWER,
    ),
    Column(
        "robust_below_noise",
        BOOL,
        "",
        "frontier_radius > 0: the model found loses at most bayes_error/2 of its training points"
        " within it; null where no frontier was searched",
    ),
    Column(
        "frontier_way",
        STR,
        "",
        "what the model found was trained with: ramp, squared hinge, logistic, gradient penalty",
    ),
    Column(
        "frontier_trap",
        BOOL,
        "",
        "the training that missed frontier_radius_missed ended in one answer for all points",
    ),
    Column("frontier_trainings", I32, "trainings", "trainings of the search"),
    Column(
        "radius_law",
        F64,
        "data units",
        "what the law allows a training radius, with 1 nat a parameter: where it could bind; pure"
        " noise on the sphere, null elsewhere",
    ),
    Column(
        "radius_law_32bit",
        F64,
        "data units",
        "the same with 22.2 nats, all that 32 bits hold: proved, with probability 0.95",
    ),
)
