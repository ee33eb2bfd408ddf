"""Name the data behind a family, and each kind by as few words as tell it from the others.

data_name("mnist-mlp").name                       "MNIST"
kind_labels(kinds, families)[kind].label          "MNIST, 10 classes"
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
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
    "gpt-learned": GPTS,
}
"""Family of a shipped task → its data, in the order of the page."""


IN_SENTENCES = {
    "": "trained down to the noise level",
    "interpolated": "trained until every label is fitted (interpolated)",
    "fixed epochs": "trained for fixed epochs",
}
"""Words of a kind's stop rule → how a sentence says them, where its data's kinds differ in the
stop rule alone."""
PLAIN = "the plain one"
"""How a sentence says no words, where the other kinds of the data differ in more."""


class KindLabel(NamedTuple):
    """A kind in few words: its data, and what tells it from the other kinds of the data.
    in_sentence: the words as a sentence says them."""

    data: str
    words: str
    in_sentence: str

    @property
    def label(self) -> str:
        return ", ".join(filter(None, (self.data, self.words)))


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
    tell it from the other kinds of the data, or all of them. The family is the first word where the
    data have several."""
    of_data: dict[str, dict[str, str]] = defaultdict(dict)
    for kind, family in zip(kinds, families, strict=True):
        of_data[data_name(family).name][kind] = family

    labels = {}
    for name, family_of in of_data.items():
        words = _telling_words(family_of)
        by_stop_rule = set(words.values()) <= set(IN_SENTENCES)
        for kind, said in words.items():
            in_sentence = IN_SENTENCES[said] if by_stop_rule else said or PLAIN
            labels[kind] = KindLabel(name, said, in_sentence)
    return labels


def _telling_words(family_of: Mapping[str, str]) -> dict[str, str]:
    """Return the words that tell each kind of some data from the others. family_of: of each
    kind."""
    several = len(set(family_of.values())) > 1
    words = {}
    for kind, family in family_of.items():
        own = list(filter(None, kind.removeprefix(family).strip(", ").split(", ")))
        words[kind] = [family, *own] if several else own

    common = set.intersection(*map(set, words.values()))
    own = {kind: [w for w in said if w not in common] for kind, said in words.items()}
    first = {kind: said[:1] for kind, said in own.items()}
    for found in (first, own):
        told = {kind: ", ".join(said) for kind, said in found.items()}
        if len(set(told.values())) == len(told):
            return told
    return {kind: kind for kind in family_of}
