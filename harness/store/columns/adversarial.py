"""Adversarial accuracy: how many held-out labels are predicted correctly on a whole ball, as far as
the attacks found."""

import pyarrow as pa

from harness.store.column import FLOATS, STR, UPPER, Column

ADVERSARIAL: tuple[Column, ...] = (
    Column("robust_l2_radii", FLOATS, "data units", "radii of the ℓ2 balls; inputs unconstrained"),
    Column(
        "robust_accuracy_l2",
        FLOATS,
        "share",
        "accuracy on those balls, one value per radius",
        bound=UPPER,
    ),
    Column("robust_accuracy_l2_se", FLOATS, "share", "its binomial standard error"),
    Column("robust_linf_radii", FLOATS, "raw", "radii of the ℓ∞ balls in the inputs' own numbers"),
    Column(
        "robust_linf_box",
        FLOATS,
        "raw",
        "least and greatest value that an attacked input may hold; null: unconstrained",
    ),
    Column(
        "robust_accuracy_linf",
        FLOATS,
        "share",
        "accuracy on those balls, cut with the box, one value per radius",
        bound=UPPER,
    ),
    Column("robust_accuracy_linf_se", FLOATS, "share", "its binomial standard error"),
    Column(
        "attack_warnings",
        pa.list_(STR),
        "",
        "signs of masked gradients or of an ℓ2 search that failed; empty when there are none",
    ),
)
