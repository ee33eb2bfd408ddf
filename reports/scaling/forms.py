"""Every form by its name."""

from harness.errors import UserError, did_you_mean
from reports.scaling.bent import BNSL, BNSL_2, BROKEN, LEVELLING, LOGARITHM
from reports.scaling.bounded import DOWNSTREAM, M4
from reports.scaling.form import Form
from reports.scaling.joint import DATA_CONSTRAINED, FARSEER, KAPLAN
from reports.scaling.power_sums import CHINCHILLA, POWER, SATURATING, TIED, TWO_VARIABLE

FORMS = {
    form.name: form
    for form in (
        POWER,
        SATURATING,
        LOGARITHM,
        LEVELLING,
        BROKEN,
        BNSL,
        BNSL_2,
        M4,
        DOWNSTREAM,
        CHINCHILLA,
        TIED,
        KAPLAN,
        FARSEER,
        TWO_VARIABLE,
        DATA_CONSTRAINED,
    )
}


def form_named(name: str) -> Form:
    """Return the form; raise UserError for a name that none has."""
    if name in FORMS:
        return FORMS[name]
    hint = did_you_mean(name, FORMS) or f"; forms: {', '.join(FORMS)}"
    raise UserError(f"form: '{name}' is not known{hint}")


def forms_for(roles: set[str]) -> list[Form]:
    """Return every form whose inputs are among the roles, for a measure of any kind."""
    return [form for form in FORMS.values() if set(form.inputs) <= roles]
