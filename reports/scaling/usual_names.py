"""Names that people give to columns, and what each means.

    bare("Total tokens") in USUAL["D"].split()   # True
    is_ratio("D/N")                              # True: tokens over parameters are no size

A name counts as a whole first, and by its last part, as in `eval/loss`, where no whole name does.
"""

import re
from collections.abc import Callable

USUAL = {
    "N": "n params parameters nparams nparameters numparams numparameters parametercount paramcount"
    " modelparams modelparameters totalparams totalparameters modelsize",
    "D": "d tokens ntokens numtokens trainingtokens traintokens trainedtokens totaltokens"
    " tokensseen tokencount tokenstrained tokensprocessed numtrainingtokens",
    "U": "u uniquetokens tokensunique distincttokens tokensdistinct nuniquetokens uniquedata",
    "C": "c flops flop trainingflops trainingflop trainflops totalflops compute trainingcompute"
    " traincompute computebudget flopbudget flopsbudget budget",
    "X": "x size datasetsize trainsize trainsetsize trainingsize samples nsamples numsamples"
    " trainingsamples examples nexamples width",
}
"""Role → its usual names, in lower case and without signs."""
WITHOUT_EMBEDDINGS = (
    "nonembeddingparams nonembeddingparameters nonembparams paramsnonembedding"
    " parametersnonembedding nparamsnonembedding numparamsnonembedding nnonembedding nnoemb"
    " paramsnoemb paramswithoutembeddings"
)
"""N by the convention of Kaplan et al. 2020, which is asked for sensitivity."""
LESS_USUAL = {
    "N": f"numberofparameters trainableparams trainableparameters {WITHOUT_EMBEDDINGS}",
    "D": "seentokens ntokensseen numtokensseen totaltokensseen tokensconsumed consumedtokens"
    " numtraintokens totaltraintokens totaltrainingtokens numberoftokens",
    "U": "",
    "C": "totalflop totaltrainflops totaltrainingflops numflops trainingcomputeflop"
    " trainingcomputeflops",
    "X": "samplesseen seensamples nsamplesseen trainsamples examplesseen seenexamples numexamples"
    " trainexamples trainingexamples trainingsetsize imagesseen datapoints",
}
"""The same, where no column has a usual name."""
EPOCHS = "epochs epoch nepochs numepochs repetitions repeats"
LOSSES = (
    r"l|loss|nll|crossentropy|(test|val|validation|eval|heldout|final)(loss|nll|crossentropy)",
    r"\w*loss",
    r"\w*(bpb|bitsperbyte)(none)?",
)
SCORES = (
    r"\w*(?<!std)(?<!standard)(error|errorrate|err)",
    r"\w*(accuracy|acc)(none)?",
    r"\w*accnorm(none)?",
    r"y|score",
)
"""Measures by the shape of their names, the likeliest first. A loss is taken before a score. A
harness that calls its metrics `acc,none` writes their standard errors as `acc_stderr,none`, which
are no measures."""
PARTS = re.compile(r"[/.](?=[A-Za-z_])")
"""What parts the groups of a name, as in `eval/loss` and `config.params`."""
BETTER_HIGH = (
    r"\w*(accuracy|acc|accnorm|score|f1|auc|auroc|bleu|rouge|exactmatch|passrate|winrate|reward)"
    r"(none)?"
)
"""Measures whose higher values are better."""
IN_UNITS = re.compile(
    r"[\s_]*(?:[(\[](?:in )?|[\s_]in[\s_]|_)(?:(?P<k>k|thousands?)|(?P<m>m|millions?)"
    r"|(?P<b>b|bn|billions?)|(?P<t>trillions?))[)\]]?$",
    re.I,
)
"""The end of a name that says in what its numbers count, as in `params (M)`."""
MULTIPLES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def bare(name: str) -> str:
    """Return a name in lower case and without signs."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def last_part(name: str) -> str:
    """Return the last part of a name such as `eval/macro_loss`, bare; empty for one of one letter,
    which says too little without the rest."""
    last = bare(PARTS.split(name)[-1])
    return last if len(last) > 1 else ""


WAYS: tuple[Callable[[str], str], ...] = (bare, last_part)
"""A name counts as a whole before it counts by its last part."""


def is_ratio(name: str) -> bool:
    """Return whether a name such as `D/N` is that of one quantity over another."""
    parts = name.split("/")
    roles = [_role_of(bare(part)) for part in parts]
    return len(parts) == 2 and all(roles) and roles[0] != roles[1]


def is_measure(name: str) -> bool:
    """Return whether a column is called like a loss or a score."""
    return any(_role_of(way(name)) in ("L", "Y") for way in WAYS)


def is_better_high(name: str) -> bool:
    """Return whether a measure is called like one whose higher values are better."""
    return re.fullmatch(BETTER_HIGH, bare(name)) is not None


def _role_of(word: str) -> str:
    """Return the role that a bare word names; empty for none."""
    for role in USUAL:
        if word in USUAL[role].split() + LESS_USUAL[role].split():
            return role
    for role, shapes in (("L", LOSSES), ("Y", SCORES)):
        if any(re.fullmatch(shape, word) for shape in shapes):
            return role
    return ""


def multiple(name: str) -> float:
    """Return what a column's name says its numbers are multiples of: 1e6 for `params (M)`."""
    found = IN_UNITS.search(name)
    if found is None or found.lastgroup is None:
        return 1.0
    return MULTIPLES[found.lastgroup]
