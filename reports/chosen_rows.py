"""Say whose rows a report is about where that is not simply all rows of one store."""

from reports.evidence import Evidence
from reports.numbers import Number, Sentence


def rows_sentences(evidence: Evidence) -> list[Sentence]:
    """Return a sentence that names the stores where there are several, and one that says which
    trials were chosen where conditions did."""
    sentences = []
    if len(evidence.stores) > 1:
        *some, last = evidence.stores
        sentences.append(
            Sentence(
                "Rows of the stores {some} and {last}. A trial that several of them have counts"
                " once, with its newest row.",
                {"some": ", ".join(some), "last": last},
            )
        )
    if evidence.where:
        left_out = Number(
            "count:left_out",
            len(evidence.left_out),
            "trials that do not fit the conditions of --where",
            style="int",
        )
        sentences.append(
            Sentence(
                "Only trials with {conditions}; left out: {left_out}.",
                {"conditions": " and ".join(evidence.where), "left_out": left_out},
            )
        )
    return sentences
