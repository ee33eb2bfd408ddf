"""Name the data behind a family, and each kind by as few words as tell it from the others.

data_name("mnist-mlp").name                       "MNIST"
kind_labels(kinds, families)[kind].label          "MNIST, 10 classes"
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple


class DataName(NamedTuple):
    """How the page speaks of one kind of data: its heading, and one of its models."""

    name: str
    thing: str


RANDOM = DataName("Random data", "a network on random data")
MNIST = DataName("MNIST", "an MNIST network")
GPTS = DataName("GPTs", "a GPT")
SHIPPED = {
    "sphere": RANDOM,
    "mnist-mlp": MNIST,
    "mnist-cnn": MNIST,
    "gpt": GPTS,
    "gpt-stream": GPTS,
}
"""Family of a shipped task → its data, in the order of the page."""


IN_SENTENCES = {
    "": "trained down to the noise level",
    "interpolated": "trained until every label is fitted",
    "fixed epochs": "trained for fixed epochs",
}
"""Words that tell a kind from others of its data → how a sentence says them."""


class KindLabel(NamedTuple):
    """A kind in few words: its data, and what tells it from the other kinds of the data."""

    data: str
    words: str

    @property
    def label(self) -> str:
        return ", ".join(filter(None, self))

    def in_sentence(self) -> str:
        """Return the words as a sentence says them."""
        return IN_SENTENCES.get(self.words, self.words)


def data_name(family: str) -> DataName:
    """Return how the page speaks of a family: a user's own by its name."""
    return SHIPPED.get(family, DataName(family, f"a network of the family {family}"))


def place_of(family: str) -> tuple[int, str]:
    """Return a family's place in the order of the page: shipped data first, then by name."""
    order = list(dict.fromkeys(SHIPPED.values()))
    data = data_name(family)
    return (order.index(data) if data in order else len(order), data.name)


def kind_labels(kinds: Sequence[str], families: Sequence[str]) -> dict[str, KindLabel]:
    """Return a label for each kind: the name of its data, and as few of the kind's own words as
    tell it from the other kinds of the data."""
    of_data: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for kind, family in zip(kinds, families, strict=True):
        of_data[data_name(family).name][kind] = kind.removeprefix(family).strip(", ").split(", ")

    labels = {}
    for name, words in of_data.items():
        common = set.intersection(*map(set, words.values()))
        own = {kind: [w for w in said if w not in common] for kind, said in words.items()}
        first = {kind: said[:1] for kind, said in own.items()}
        enough = len({tuple(said) for said in first.values()}) == len(first)
        for kind, said in (first if enough else own).items():
            labels[kind] = KindLabel(name, ", ".join(said))
    return labels
