"""Names that people give to columns, and what each means.

    bare("Total tokens") in USUAL["D"].split()   # True
    is_ratio("D/N")                              # True: tokens over parameters are no size

A name counts as a whole first, and by its last part, as in `eval/loss`, where no whole name does.
"""

import re
from collections.abc import Callable

from reports.scaling.name_units import of_name

USUAL = {
    "N": "n params parameters nparams nparameters numparams numparameters parametercount paramcount"
    " modelparams modelparameters totalparams totalparameters modelsize nparam parameter",
    "D": "d tokens ntokens numtokens trainingtokens traintokens trainedtokens totaltokens"
    " tokensseen tokencount tokenstrained tokensprocessed numtrainingtokens dtokens",
    "U": "u uniquetokens tokensunique distincttokens tokensdistinct nuniquetokens uniquedata",
    "C": "c flops flop trainingflops trainingflop trainflops totalflops compute trainingcompute"
    " traincompute computebudget flopbudget flopsbudget budget cflops",
    "X": "x size datasetsize trainsize trainsetsize trainingsize samples nsamples numsamples"
    " trainingsamples examples nexamples width",
}
"""Role → its usual names, in lower case and without signs."""
WITHOUT_EMBEDDINGS = (
    "nonembeddingparams nonembeddingparameters nonembparams paramsnonembedding"
    " parametersnonembedding nparamsnonembedding numparamsnonembedding nnonembedding nnoemb"
    " paramsnoemb paramswithoutembeddings totalnonembparams"
    " paramsnoembed paramsnoembedding paramsnoembeddings nnoembed nonembedparams nonembedparameters"
    " nonembparameters paramsnonemb paramsnonembed paramswithoutembedding nonembeddingparamcount"
)
"""N by the convention of Kaplan et al. 2020, which is asked for sensitivity."""
LESS_USUAL = {
    "N": f"numberofparameters trainableparams trainableparameters {WITHOUT_EMBEDDINGS}",
    "D": "pretrainingtokens pretraintokens seentokens ntokensseen numtokensseen totaltokensseen"
    " tokensconsumed consumedtokens numtraintokens totaltraintokens totaltrainingtokens"
    " numberoftokens",
    "U": "",
    "C": "totalflop totaltrainflops totaltrainingflops numflops trainingcomputeflop"
    " trainingcomputeflops",
    "X": "samplesseen seensamples nsamplesseen trainsamples examplesseen seenexamples numexamples"
    " trainexamples trainingexamples trainingsetsize imagesseen datapoints",
}
"""The same, where no column has a usual name."""
VAGUE = {
    "N": "size model",
    "D": "data dataset datasize datasetsize trainsize trainsetsize trainingsize trainingsetsize"
    " trainingdata trainingdatasize pretrainingdata pretrainingdatasize pretrainingdatasetsize",
}
"""Names of N and D where the other of the two, or FLOPs, is there and the column holds sizes."""
UNNAMED = frozenset(
    {"", "total", "seen", "train", "training", "pretraining", "corpus", "budget", "compute"}
    | set(" ".join(VAGUE.values()).split())
)
"""Names that say what is counted only by their unit, as in `Size (M params)`."""
RATIOS = "dn tokensperparam tokensperparameter tpp tokenparamratio tokentoparamratio"
"""Tokens over parameters."""
NO_SETTING = re.compile(
    r"(unnamed)?\d*|index|created|updated|notes?|comments?|description"
    r"|\w*(seed|resample|id|name|run|time|runtime|date|path|url|color)"
)
"""Names, without signs, of what tells runs apart but is no setting."""
LIKE_A_SIZE = (
    r"(?<!batch)size|(?<!per)step|token|data|sample|example|flop|compute|param|epoch|iter|image"
)
EPOCHS = "epochs epoch nepochs numepochs repetitions repeats"
HELD_OUT = r"(?:test|val|valid|validation|eval|evaluation|heldout|final)"
STATISTIC = r"(?:mean|avg|average|median|final|last|best|min|ema|nats?|natspertoken|pertoken)+"
LOSSES = (
    rf"l|loss|nll|crossentropy|{HELD_OUT}(?:loss|nll|crossentropy)",
    rf"{HELD_OUT}+(?:loss|nll|ce|xent|crossentropy(?:loss)?)",
    rf"(?:{HELD_OUT}*(?:loss|nll|xent|crossentropy)){STATISTIC}",
    r"\w*loss",
    rf"\w*(?:loss|nll|xent|crossentropy)(?:{STATISTIC})?",
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
NO_LOSS = re.compile(r"(z|aux|auxiliary|balance|loadbalance|balancing|router)loss(\w*)")
"""Names, without signs and by their last part, of terms that are added in training."""
SETTINGS = re.compile(r"(config|hyperparameters?|hparams|args|optim|optimizer|trainer)[./]", re.I)
"""How names of settings begin, none of which is a measure."""
PERPLEXITY = r"\w*(perplexity|ppl)"
"""The exponential of a loss."""


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


def words(name: str, way: Callable[[str], str]) -> set[str]:
    """Return a name as words that may be usual ones: as it stands, without its unit, and with what
    its unit counts where the rest does not say it."""
    unit = of_name(name)
    base = way(unit.base)
    counted = {unit.noun, base + unit.noun} if unit.noun and base in UNNAMED else set()
    return {way(name), base, *counted}


def is_ratio(name: str) -> bool:
    """Return whether a name such as `D/N` is that of one quantity over another."""
    parts = of_name(name).base.split("/")
    roles = [_role_of(bare(part)) for part in parts]
    return len(parts) == 2 and all(roles) and roles[0] != roles[1]


def tells_runs_apart(name: str) -> bool:
    """Return whether a column is called like a name, a seed or a time of runs."""
    return NO_SETTING.fullmatch(bare(name)) is not None


def is_like_a_size(name: str) -> bool:
    """Return whether a word of a name is one of sizes, such as `steps` or `pretrain_data`."""
    return re.search(LIKE_A_SIZE, bare(name)) is not None


def is_no_measure(name: str) -> bool:
    """Return whether a column with the name of a measure is a ratio, a setting, or a term of the
    loss that is added in training, such as `z_loss`."""
    if is_ratio(name) or SETTINGS.match(name):
        return True
    return any(NO_LOSS.fullmatch(way(name)) for way in WAYS)


def is_measure(name: str) -> bool:
    """Return whether a column is called like a loss or a score."""
    return any(_role_of(way(of_name(name).base)) in ("L", "Y") for way in WAYS)


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
