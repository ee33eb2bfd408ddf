"""Stability: the distance from held-out points to the decision boundary."""

from harness.store.column import ESTIMATE, F64, I64, LOWER, UPPER, Column

STABILITY: tuple[Column, ...] = (
    Column(
        "measure_points",
        I64,
        "samples",
        "held-out points behind the stability columns, and behind every other sensitivity column"
        " where measure_points_others is null",
    ),
    Column(
        "measure_points_others",
        I64,
        "samples",
        "held-out points behind every other sensitivity column: the first of measure_points",
    ),
    Column(
        "stability_cap", F64, "data units", "distances above this count as this, and as censored"
    ),
    Column(
        "stability_first_order_mean",
        F64,
        "data units",
        "mean over points of min(|margin|/‖∇margin‖, cap), over the 8 nearest rivals of a"
        " vocabulary; points with a zero gradient left out",
        bound=ESTIMATE,
    ),
    Column(
        "stability_first_order_median",
        F64,
        "data units",
        "median over points of the same distance; a point with a zero gradient counts as the cap",
        bound=ESTIMATE,
    ),
    Column(
        "stability_first_order_censored",
        F64,
        "share",
        "points with a zero gradient or beyond the cap",
    ),
    Column(
        "stability_attack_mean",
        F64,
        "data units",
        "S: mean over points of min(distance to the nearest label change found, cap)",
        bound=UPPER,
    ),
    Column(
        "stability_attack_se",
        F64,
        "data units",
        "standard error of stability_attack_mean over points",
    ),
    Column("stability_attack_median", F64, "data units", "median of the same", bound=UPPER),
    Column(
        "stability_attack_censored",
        F64,
        "share",
        "points for which no label change was found within the cap",
        bound=UPPER,
    ),
    Column(
        "stability_attack_mean_l2", F64, "raw l2", "stability_attack_mean × data_unit", bound=UPPER
    ),
    Column(
        "stability_attack_disagreement",
        F64,
        "share",
        "points at which the search's first run ended more than 10 % beyond the nearest change"
        " found",
    ),
    Column(
        "stability_certified_mean",
        F64,
        "data units",
        "mean over points of min(margin / (√2·lip_upper_product), cap), |f| / lip_upper_product for"
        " ±1; null without an upper bound",
        bound=LOWER,
    ),
    Column(
        "stability_certified_violations",
        I64,
        "samples",
        "points whose certified distance exceeds the one that the search found; must be 0",
    ),
)
