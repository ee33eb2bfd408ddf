"""The inputs: their intrinsic dimension and pairwise distances.

One data unit is the data set's mean ‖x − mean x‖.
"""

from harness.store.column import ESTIMATE, F64, FLOATS, I64, Column

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
)
