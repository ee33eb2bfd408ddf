"""Lipschitz constants, in three groups that never mix: lip_lower_…, lip_mean_… and lip_upper_….

J is the Jacobian of f for ±1 targets, and of the K logits for classes.
"""

from harness.store.column import ESTIMATE, F64, LOWER, STR, UPPER, Column

LIPSCHITZ: tuple[Column, ...] = (
    Column(
        "gradient_of",
        STR,
        "",
        "what lip_lower_grad, lip_mean_grad and their _ambient forms are gradients of: f (±1"
        " target), or margin (top logit minus runner-up)",
    ),
    Column(
        "lip_lower_grad",
        F64,
        "output / data unit",
        "largest ‖∇‖ over the held-out points, tangential on the sphere",
        bound=LOWER,
    ),
    Column(
        "lip_lower_grad_ambient",
        F64,
        "output / data unit",
        "as lip_lower_grad with the gradient in all of R^d",
        bound=LOWER,
    ),
    Column(
        "lip_lower_jacobian",
        F64,
        "output / data unit",
        "largest ‖J‖₂ over the three sets of points below, tangential on the sphere",
        bound=LOWER,
    ),
    Column(
        "lip_lower_jacobian_held_out",
        F64,
        "output / data unit",
        "over held-out points",
        bound=LOWER,
    ),
    Column(
        "lip_lower_jacobian_train",
        F64,
        "output / data unit",
        "over training points; of a language model, windows of the training text",
        bound=LOWER,
    ),
    Column(
        "lip_lower_jacobian_off_data",
        F64,
        "output / data unit",
        "over midpoints of random pairs of training points",
        bound=LOWER,
    ),
    Column(
        "lip_lower_residual",
        F64,
        "relative",
        "largest ‖JᵀJv − σ²v‖ / σ² of a singular pair behind the Jacobian norms",
    ),
    Column(
        "lip_lower_pairs",
        F64,
        "output / data unit",
        "largest ‖f(u) − f(v)‖ / ‖u − v‖ found by ascent, lip_lower_jacobian included",
        bound=LOWER,
    ),
    Column(
        "lip_lower_pairs_distance",
        F64,
        "data units",
        "‖u − v‖ of that pair; 0 when the Jacobian's norm was not exceeded",
    ),
    Column(
        "lip_lower_pairs_agreement",
        F64,
        "share",
        "restarts of the ascent that ended within 5 % of the best",
    ),
    Column(
        "lip_lower_pairs_off_centre",
        F64,
        "data units",
        "how far from the training inputs' mean it was found; the inputs lie at about 1",
    ),
    Column(
        "lip_lower_normalised",
        F64,
        "1 / data unit",
        "lip_lower_pairs / margin_mean: unmoved when the outputs are rescaled",
        bound=LOWER,
    ),
    Column(
        "lip_lower_logprob_jacobian",
        F64,
        "nats / data unit",
        "lip_lower_jacobian of the log-probabilities; null for ±1 targets",
        bound=LOWER,
    ),
    Column(
        "lip_lower_logprob_pairs",
        F64,
        "nats / data unit",
        "lip_lower_pairs of the log-probabilities",
        bound=LOWER,
    ),
    Column(
        "lip_lower_logprob_normalised",
        F64,
        "1 / data unit",
        "lip_lower_logprob_pairs / margin_mean",
        bound=LOWER,
    ),
    Column(
        "lip_mean_grad",
        F64,
        "output / data unit",
        "mean ‖∇‖ over the held-out points, tangential on the sphere; no law holds for it",
        bound=ESTIMATE,
    ),
    Column(
        "lip_mean_grad_ambient",
        F64,
        "output / data unit",
        "as lip_mean_grad with the gradient in all of R^d",
        bound=ESTIMATE,
    ),
    Column(
        "lip_mean_jacobian",
        F64,
        "output / data unit",
        "mean ‖J‖₂ over the held-out points, tangential on the sphere",
        bound=ESTIMATE,
    ),
    Column(
        "lip_mean_jacobian_se",
        F64,
        "output / data unit",
        "standard error of lip_mean_jacobian over points",
    ),
    Column(
        "lip_mean_normalised",
        F64,
        "1 / data unit",
        "lip_mean_jacobian / margin_mean",
        bound=ESTIMATE,
    ),
    Column(
        "lip_mean_logprob_jacobian",
        F64,
        "nats / data unit",
        "mean ‖J‖₂ of the log-probabilities over the held-out points",
        bound=ESTIMATE,
    ),
    Column(
        "lip_mean_logprob_normalised",
        F64,
        "1 / data unit",
        "lip_mean_logprob_jacobian / margin_mean",
        bound=ESTIMATE,
    ),
    Column(
        "lip_upper_product",
        F64,
        "output / data unit",
        "product of the layers' spectral norms, in all of R^d; null with a note",
        bound=UPPER,
    ),
    Column(
        "lip_upper_normalised", F64, "1 / data unit", "lip_upper_product / margin_mean", bound=UPPER
    ),
    Column(
        "lip_upper_layerwise",
        F64,
        "output / data unit",
        "a tighter bound for fully connected networks with activations that never fall"
        " (ECLipsE-Fast), in all of R^d; null for other models",
        bound=UPPER,
    ),
    Column(
        "lip_upper_logprob_product",
        F64,
        "nats / data unit",
        "√K · lip_upper_product, for the K log-probabilities",
        bound=UPPER,
    ),
    Column(
        "lip_upper_logprob_normalised",
        F64,
        "1 / data unit",
        "lip_upper_logprob_product / margin_mean",
        bound=UPPER,
    ),
    Column(
        "lip_upper_residual",
        F64,
        "relative",
        "largest relative residual of a layer's norm; the norms are raised by it",
    ),
    Column(
        "lip_upper_note", STR, "", "why there is no certified upper bound; null when there is one"
    ),
    Column(
        "margin_mean",
        F64,
        "output",
        "mean |f|, or mean of top logit minus runner-up, over the held-out points",
    ),
)
