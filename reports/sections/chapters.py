"""Put the sections of the page into chapters, which the contents list names."""

import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

from markupsafe import Markup

from reports.sections.glossary import Term, terms_of
from reports.sections.section import Section


class Chapter(NamedTuple):
    """A heading of the contents with its sections. A section of the chapter's own key leads it,
    without a heading of its own. `terms`: the words of the glossary that first occur here."""

    key: str
    title: str
    sections: list[Section]
    terms: list[Term]


OUTLINE = (
    ("answer", "The answer", ("answer", "chosen-rows", "comparison", "against")),
    ("frontier", "The frontier: the most robust fit found", ("frontier",)),
    ("law", "The law, and what was measured", ("law", "binding", "collapse", "recipes")),
    ("lipschitz", "Lipschitz constants, three ways", ("lipschitz",)),
    ("accuracy", "Accuracy and loss", ("accuracy",)),
    ("sensitivity", "Sensitivity", ("sensitivity", "pictures")),
    ("per_token", "Parameters to tokens", ("per_token",)),
    ("data", "Data and dimension", ("data",)),
    (
        "language",
        "Language models",
        ("tokens", "ladder", "token_ratio", "own_embeddings", "published"),
    ),
    ("claims", "Claims, checked against these rows", ("claims",)),
    ("audit", "Audit: how firm all this is", ("firmness", "trust", "caveats", "methods")),
    ("failures", "Failures and cost", ("failures", "cost")),
    ("trials", "All trials", ("trials",)),
    ("provenance", "Provenance, and how to cite", ("provenance", "cite")),
)
"""Key, title and sections of each chapter, in the order of the page."""


def in_chapters(sections: Sequence[Section]) -> list[Chapter]:
    """Return the chapters that have sections. A section that no chapter names comes last, as a
    chapter by itself."""
    by_key = {section.key: section for section in sections}
    named = {key for _, _, keys in OUTLINE for key in keys}
    outline = [(key, title, [k for k in keys if k in by_key]) for key, title, keys in OUTLINE]
    outline += [(s.key, s.title, [s.key]) for s in sections if s.key not in named]

    present = [(key, title, keys) for key, title, keys in outline if keys]
    terms = terms_of([key for key, _, _ in present])
    return [
        Chapter(key, title, [by_key[k] for k in keys], terms[key]) for key, title, keys in present
    ]


def numbered(chapters: Sequence[Chapter]) -> list[Chapter]:
    """Return the chapters with their figures numbered through, each by a link to itself.

    Counters of CSS would not do: they skip the figures in closed folds.
    """
    numbers = count(1)
    return [
        chapter._replace(
            sections=[s._replace(html=_with_numbers(s.html, numbers)) for s in chapter.sections]
        )
        for chapter in chapters
    ]


def _with_numbers(html: Markup, numbers: Iterator[int]) -> Markup:
    """Return a section's HTML with a number before each plain <figcaption>."""

    def numbered_caption(_: re.Match[str]) -> str:
        k = next(numbers)
        return f'<figcaption id="figure-{k}"><a class="figure" href="#figure-{k}">Figure {k}.</a> '

    return Markup(re.sub("<figcaption>", numbered_caption, str(html)))
