"""Loss, accuracy and calibration on held-out data."""

from harness.store.column import ESTIMATE, F64, I64, Column

ACCURACY: tuple[Column, ...] = (
    Column(
        "test_loss",
        F64,
        "loss",
        "mean over the held-out set, labels without injected noise where they exist",
    ),
    Column(
        "test_loss_se",
        F64,
        "loss",
        "standard error of a language model's test_loss, over windows; null for others",
    ),
    Column(
        "bits_per_byte",
        F64,
        "bits / byte",
        "test_loss of every position of held-out text, per byte of it; null where inputs are no"
        " text",
        bound=ESTIMATE,
    ),
    Column(
        "test_accuracy",
        F64,
        "share",
        "held-out labels (of a language model: next tokens) predicted rightly",
    ),
    Column(
        "test_accuracy_se",
        F64,
        "share",
        "standard error of test_accuracy: binomial, of a language model over windows",
    ),
    Column("test_n", I64, "samples", "held-out samples behind test_loss and test_accuracy"),
    Column(
        "last_word_accuracy",
        F64,
        "share",
        "texts whose last word is predicted whole, greedily, as in LAMBADA; null without such"
        " texts",
    ),
    Column("last_word_accuracy_se", F64, "share", "its binomial standard error"),
    Column("last_word_n", I64, "texts", "texts behind it"),
    Column(
        "ece",
        F64,
        "probability",
        "expected calibration error over 15 equal-width bins of the predicted label's probability",
        bound=ESTIMATE,
    ),
    Column("ece_se", F64, "probability", "its standard error, bootstrap over the held-out set"),
    Column(
        "nll",
        F64,
        "nats",
        "mean negative log-likelihood of held-out labels; null for ±1 targets, whose f gives no"
        " likelihood",
        bound=ESTIMATE,
    ),
    Column("nll_se", F64, "nats", "standard error of nll over the held-out set"),
    Column(
        "brier",
        F64,
        "squared probability",
        "mean squared distance of predicted probabilities from the label, summed over classes",
        bound=ESTIMATE,
    ),
    Column("brier_se", F64, "squared probability", "standard error of brier over the held-out set"),
)
