"""In what a column counts, as its name says: `params (M)`, `tokens_in_billions`, `FLOPs (1E21)`.

of_name("FLOPs (1E21)")     # Unit(base="FLOPs", multiple=1e21, noun="")
of_name("Size (M params)")  # Unit(base="Size", multiple=1e6, noun="params")
of_name("loss")             # Unit(base="loss", multiple=1.0, noun="")
"""

import re
from typing import NamedTuple

WORDS = {
    "k": 1e3,
    "thousand": 1e3,
    "m": 1e6,
    "mn": 1e6,
    "million": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "g": 1e9,
    "billion": 1e9,
    "t": 1e12,
    "tn": 1e12,
    "trillion": 1e12,
}
PREFIXES = dict(zip(" kmgtpezy", (10.0 ** (3 * i) for i in range(9)), strict=True))
"""SI prefixes of FLOPs, and a space for none."""
PF_DAY = 8.64e19
"""FLOPs of a petaflop/s-day."""

POWER = r"(?:[x×*]\s*)?(?:1e\+?(?P<e>\d{1,2})|10(?:\^|\*\*)(?P<ten>\d{1,2}))"
NOUN = r"(?:of\s+)?(?P<noun>param(?:eter)?s?|tok(?:en)?s?|samples|examples|images)"
COUNTED = re.compile(
    rf"(?:in\s+)?(?:{POWER})?\s*(?P<word>{'|'.join(sorted(WORDS, key=len, reverse=True))})?s?\s*"
    rf"(?:{NOUN})?"
)
"""A multiple, a noun, or both."""
FLOPS = re.compile(rf"(?:in\s+)?(?:{POWER})?\s*(?P<prefix>[kmgtpezy])?flops?")
PF_DAYS = re.compile(r"(?:in\s+)?(?:pf|pflops?|petaflops?)(?:[/-]s)?[\s_-]*days?")
NO_MULTIPLE = re.compile(r"%|percent|in %|(?:nats?|bits?)(?:\s*(?:/|per)\s*(?:token|byte|char)s?)?")
"""Units of a measure, which multiply nothing."""

BRACKETS = re.compile(r"^(?P<base>.*?)[\s_]*[(\[](?P<unit>[^()\[\]]+)[)\]]\s*$")
ENDING = re.compile(r"^(?P<base>.*?)(?:[\s_]in[\s_]+(?P<said>\S.*)|_(?P<unit>[a-z]+))$", re.I)
ALONE = re.compile(
    r"(?P<base>(?:(?:total|train|training|pretraining)[\s_]*)*(?:compute[\s_]*)?)(?P<unit>\S.*)",
    re.I,
)
"""A name that is a unit itself, such as `PF-days` or `total train ZFLOPs`."""
NOUNS = re.compile(r"(?P<unit>[kmb])(?P<noun>params|parameters|tokens)", re.I)
"""A name such as `mparams`."""
LARGE = "ezy"
"""Prefixes by which FLOPs alone are those of a training run. GFLOPs alone are of one forward pass,
TFLOPs of a second."""
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


class Unit(NamedTuple):
    """base: the name without its unit. multiple: what one of its numbers counts. noun: what is
    counted, params, tokens or flops; empty where the unit does not say."""

    base: str
    multiple: float
    noun: str = ""


def of_name(name: str) -> Unit:
    """Return what a name says of its unit; the name itself and 1 where it says nothing."""
    if found := BRACKETS.match(name):
        read = _read(found["unit"])
    elif found := ENDING.match(name):
        read = _read(found["said"] or found["unit"])
        # Only a multiple: the last word of `total_tokens` is no unit.
        read = read if read is not None and read[0] > 1 else None
    else:
        read = None
    if found is not None and read is not None and found["base"]:
        return Unit(found["base"], *read)

    if found := NOUNS.fullmatch(name):
        return Unit(found["noun"], WORDS[found["unit"].lower()], found["noun"].lower())
    found = ALONE.fullmatch(name)
    read = found and _read(found["unit"])
    if found and read and read[1] == "flops" and read[0] > 1:
        if found["base"] or read[0] in {PF_DAY, *(PREFIXES[p] for p in LARGE)}:
            return Unit("flops", *read)
    return Unit(name, 1.0)


def _read(unit: str) -> tuple[float, str] | None:
    """Return a unit's multiple and noun; None for what is no unit."""
    text = re.sub(r"10([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", r"10^\1", unit).translate(SUPERSCRIPTS)
    text = text.strip().lower()
    if PF_DAYS.fullmatch(text):
        return PF_DAY, "flops"
    if found := FLOPS.fullmatch(text):
        return _power(found) * PREFIXES[found["prefix"] or " "], "flops"
    if NO_MULTIPLE.fullmatch(text):
        return 1.0, ""
    found = COUNTED.fullmatch(text)
    if not text or found is None:
        return None
    noun = {"p": "params", "t": "tokens"}.get((found["noun"] or " ")[0], found["noun"] or "")
    return _power(found) * WORDS.get(found["word"] or "", 1.0), noun


def _power(found: re.Match) -> float:
    return 10.0 ** int(found["e"] or found["ten"] or 0)
