"""The label noise, and whether the hypothesis of the law of robustness was met."""

from harness.store.column import BOOL, F64, STR, Column

HYPOTHESIS: tuple[Column, ...] = (
    Column(
        "noise_kind", STR, "", "label_flip, label_resample, target_resample, additive_sign or none"
    ),
    Column("eta", F64, "probability", "share of labels flipped or redrawn; null for additive_sign"),
    Column(
        "sigma2",
        F64,
        "target²",
        "injected E Var[y|x] of a ±1 target: a lower bound on the noise; null for classes",
    ),
    Column(
        "bayes_error",
        F64,
        "probability",
        "R*: injected Bayes error of the label (for a ±1 target, of its sign): a lower bound",
    ),
    Column(
        "epsilon",
        F64,
        "sigma2 or error",
        "how far below the noise counts as below: sigma2/2 or bayes_error/2",
    ),
    Column("stop_rule", STR, "", "noise (down to noise level − epsilon), interpolate, or epochs"),
    Column(
        "stop_reason",
        STR,
        "",
        "below_noise, interpolated, epoch_cap, or not_trained (a model that came trained)",
    ),
    Column(
        "below_noise", BOOL, "", "training fit at stop ≤ noise level − epsilon, with epsilon > 0"
    ),
    Column(
        "below_bayes_error",
        BOOL,
        "",
        "training 0-1 error at stop ≤ bayes_error / 2 > 0: what the law's stability form asks for",
    ),
    Column(
        "isoperimetry",
        STR,
        "",
        "proved (the sphere), assumed (real data), or outside: the model of noisy samples learned"
        " its own input space, which the law does not speak of",
    ),
    Column(
        "law_n_large_enough",
        BOOL,
        "",
        "n·epsilon² ≥ 8⁴·log(8/0.05), the theorem's condition on n with k = 1",
    ),
)
