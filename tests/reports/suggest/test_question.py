"""What can be narrowed, and what a store has no rows for.

Run alone: python -m pytest tests/reports/suggest/test_question.py
"""

import pytest

from harness.errors import UserError
from reports.evidence import read_evidence
from reports.suggest.question import ask
from reports.suite.suite import UNIVERSAL_V1

SMALL = str(UNIVERSAL_V1.references[0].folder)


@pytest.mark.slow
def test_an_unknown_exponent_is_refused_with_those_there_are():
    evidence = read_evidence(SMALL)
    with pytest.raises(UserError, match="did you mean 'sphere, ±1 target, pure noise'"):
        ask(evidence, "sphere, ±1 target, pure nose")
    with pytest.raises(UserError, match="the store has no rows of text-stream"):
        ask(evidence, "alpha")
