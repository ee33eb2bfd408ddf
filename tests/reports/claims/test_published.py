"""C7 and C9: published figures alone, whatever the rows say.

Run alone: python -m pytest tests/reports/claims/test_published.py
"""

import pytest

from reports.claims.published_accuracy import compared, judged
from tests.reports.claims.verdicts import verdict
from tests.reports.stores import row


@pytest.mark.slow
@pytest.mark.parametrize("rows", [[], [row()]], ids=["nothing", "one trial"])
def test_c7_is_arithmetic_whatever_the_rows_say(tmp_path, rows):
    claim = verdict(tmp_path, rows, "C7")
    assert claim.verdict == "arithmetic only" and all(
        not n.trials for f in claim.findings for n in f.numbers()
    )

    by_width, own, ends, rumour, *others = [str(f) for f in claim.findings]
    assert "n·d is 3.7·10¹⁵ and p/(n·d) is 4.7·10⁻⁵, 4.32 orders short" in by_width
    assert (
        "175 billion parameters and 300 billion training tokens" in by_width
        and "rumoured 100 trillion" in rumour
    )
    assert (
        "175 trillion the model is 3 orders short: n·d has that value if a token counts as 583"
        " numbers (or 350,"
        in own
        and "21.1 times as large" in own
    )

    assert "p/n = 0.583, 0.234 orders short" in ends and "n·d = 7.5·10¹⁸, 7.63 orders short" in ends
    assert (
        "2.52 orders beyond with one number per token, 0.243 short with as many as the claim"
        " implies, 1.57 short with d_model, 4.88 short" in rumour
    )

    largest = ["GPT-2 1558M", "Gopher 280B", "Chinchilla 70B", "OPT 66b", "LLaMA 65B", "Pythia 12b"]
    assert [o.replace(",", ":").split(":")[0] for o in others] == largest


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, 0.6, 0.7], "supported"),
        ([0.5, 0.6, 0.59], "contradicted"),
        ([0.5, 0.4, 0.7], "contradicted"),
        ([0.5, 0.5, 0.7], "undecided"),
    ],
)
def test_c9_asks_for_a_rise_at_every_step(values, expected):
    assert judged(values) == expected


def test_c9_compares_gpt3_within_one_table_and_says_that_nothing_was_measured(tmp_path):
    claim = verdict(tmp_path, [], "C9")
    first, *sentences = [str(f) for f in claim.findings]
    assert claim.verdict == "supported" and "not measured here" in first
    assert [s.split(":")[0] for s in sentences] == [
        "HellaSwag, zero-shot",
        "LAMBADA, zero-shot",
        "mean of 18 accuracies, zero-shot",
        "mean of 18 accuracies, few-shot",
    ]

    assert (
        "63.6 % at GPT-3 1.3B, 72.5 % at GPT-3 13B, 76.2 % at GPT-3 175B, +8.9 and +3.7 points:"
        " rises." in sentences[1]
    )
    assert all(len({a.harness for a in points}) == 1 for points in compared())
