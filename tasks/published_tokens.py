"""List how many tokens published language models were trained on, and where that is written."""

import re
from typing import NamedTuple


class TrainedOn(NamedTuple):
    """The tokens that a model was trained on."""

    distinct: int
    """Tokens of training text."""
    seen: int | None
    """Tokens seen in training, repeats counted; None where this is not known."""
    source: str
    """Where the numbers are published."""


TRAINED_ON = {
    r"EleutherAI/pythia-[\d.]+[mb]": TrainedOn(
        299_892_736_000, 299_892_736_000, "Biderman et al. 2023 (arXiv 2304.01373), section 2"
    ),
    r"facebook/opt-[\d.]+[mb]": TrainedOn(
        180_000_000_000, None, "Zhang et al. 2022 (arXiv 2205.01068), section 2.3"
    ),
    r"huggyllama/llama-(7|13)b": TrainedOn(
        1_000_000_000_000, 1_000_000_000_000, "Touvron et al. 2023 (arXiv 2302.13971), table 2"
    ),
    r"huggyllama/llama-(30|65)b": TrainedOn(
        1_400_000_000_000, 1_400_000_000_000, "Touvron et al. 2023 (arXiv 2302.13971), table 2"
    ),
}
"""Pattern of the models' names on the hub → their tokens. GPT-2's numbers were never published.
Models that read a data set more than once (Pythia's deduplicated ones) are not listed."""


def trained_on(model: str) -> TrainedOn | None:
    """Return what is published about the training of the named model; None for most models."""
    for name, published in TRAINED_ON.items():
        if re.fullmatch(name, model):
            return published
    return None
