"""The inputs: their intrinsic dimension, pairwise distances and isoperimetry.

One data unit is the data set's mean ‖x − mean x‖.
"""

from harness.store.column import ESTIMATE, F64, FLOATS, I64, LOWER, Column

DATA: tuple[Column, ...] = (
    Column("data_unit", F64, "raw l2", "length of one data unit"),
    Column(
        "d_points",
        I64,
        "samples",
        "inputs behind the estimates of dimension and the pairwise distances",
    ),
    Column(
        "d_participation",
        F64,
        "dimensions",
        "PCA participation ratio of the inputs, (Σλ)²/Σλ²",
        bound=ESTIMATE,
    ),
    Column(
        "d_participation_spread",
        F64,
        "dimensions",
        "its standard deviation over disjoint subsamples",
    ),
    Column(
        "d_twonn", F64, "dimensions", "TwoNN estimate of the intrinsic dimension", bound=ESTIMATE
    ),
    Column("d_twonn_spread", F64, "dimensions", "its standard deviation over disjoint subsamples"),
    Column(
        "d_mle",
        F64,
        "dimensions",
        "Levina and Bickel's maximum-likelihood estimate of the intrinsic dimension",
        bound=ESTIMATE,
    ),
    Column("d_mle_spread", F64, "dimensions", "its standard deviation over disjoint subsamples"),
    Column("p_over_nd_ambient", F64, "parameters / number", "p / (n·d), d = d_ambient"),
    Column(
        "p_over_nd_participation",
        F64,
        "parameters / number",
        "p / (n·d), d = d_participation",
        bound=ESTIMATE,
    ),
    Column("p_over_nd_twonn", F64, "parameters / number", "p / (n·d), d = d_twonn", bound=ESTIMATE),
    Column("p_over_nd_mle", F64, "parameters / number", "p / (n·d), d = d_mle", bound=ESTIMATE),
    Column(
        "pair_distance_mean",
        F64,
        "data units",
        "mean distance of two different inputs",
        bound=ESTIMATE,
    ),
    Column(
        "pair_distance_sd",
        F64,
        "data units",
        "standard deviation of that distance over pairs",
        bound=ESTIMATE,
    ),
    Column(
        "pair_distance_quantiles",
        FLOATS,
        "data units",
        "its 1, 5, 25, 50, 75, 95 and 99 % quantiles over pairs",
        bound=ESTIMATE,
    ),
    Column(
        "isoperimetry_c",
        F64,
        "data units²·dimension",
        "the law's constant c, from the tails along the 10 leading directions: max over t of"
        " d·t²/(2·ln(2/share beyond t)); other directions and functions may need more",
        bound=LOWER,
    ),
    Column(
        "isoperimetry_c_variance",
        F64,
        "data units²·dimension",
        "the same from the variance along the leading direction alone, d·λ/(2 + 2·ln 2)",
        bound=LOWER,
    ),
    Column(
        "isoperimetry_c_within",
        F64,
        "data units²·dimension",
        "isoperimetry_c of the deviations from the mean of the own class, all classes together:"
        " the constant of a mixture whose parts are the classes; from held-out inputs and labels;"
        " null without two classes of 20 inputs",
        bound=LOWER,
    ),
    Column(
        "radius_ceiling",
        F64,
        "data units",
        "r∞: the largest training radius that a model of any size can have on these points and"
        " noisy labels, by matching, for balls in R^d; exact for two classes and an upper bound for"
        " more when radius_ceiling_points is n, otherwise an estimate from a draw of points; null"
        " without noise and where there is no limit",
        bound=ESTIMATE,
    ),
    Column("radius_ceiling_points", I64, "samples", "training points behind radius_ceiling"),
)
