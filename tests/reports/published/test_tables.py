"""Published figures: the tables hold what their sources say, and the page's arithmetic follows from
them.

Run alone: python -m pytest tests/reports/published/test_tables.py
"""

import pytest

from reports.claims.arithmetic import (
    CONVENTIONS,
    IMPLIED,
    POSITION,
    TOKEN,
    WIDTH,
    named,
    needed,
    orders_short,
)
from reports.published.tables import accuracies, language_models, madry2018


@pytest.mark.parametrize(
    ("group", "sizes"),
    [
        ("GPT-2", 4),
        ("GPT-3", 8),
        ("Pythia", 8),
        ("OPT", 8),
        ("Gopher", 1),
        ("Chinchilla", 1),
        ("LLaMA", 4),
        ("rumour", 1),
    ],
)
def test_every_group_is_there_from_small_to_large(group, sizes):
    own = [m for m in language_models() if m.group == group]
    assert len(own) == sizes and [m.parameters for m in own] == sorted(m.parameters for m in own)


def test_names_are_unique_and_every_row_has_a_source_and_a_mark():
    assert len({m.name for m in language_models()}) == len(language_models()) == 35
    for m in language_models():
        assert m.source and m.verified in ("primary", "secondary", "memory", "rumour")
        assert set(m.from_memory) <= {"tokens", "layers", "d_model", "context"}
        assert all(getattr(m, field) is not None for field in m.from_memory)
        assert (m.verified == "rumour") == (m.group == "rumour")
    for a in accuracies():
        assert (
            a.source
            and a.verified in ("primary", "secondary")
            and a.shots in ("zero-shot", "few-shot", "")
        )


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("GPT-3 175B", 4.7e-5),
        ("Chinchilla 70B", 6.1e-6),
        ("GPT-3 125M", 5.4e-7),
        ("GPT-2 1558M", None),
        ("rumoured 1e14", None),
    ],
)
def test_places_on_the_axis(name, place):
    """The tokens of GPT-2 and of the rumour are unknown, and nothing is guessed."""
    assert named(name).place == (None if place is None else pytest.approx(place, rel=0.02))


def test_a_window_as_a_sample_gives_the_same_place():
    for m in language_models():
        if m.place is not None and m.tokens and m.context and m.d_model:
            assert m.place == pytest.approx(
                m.parameters / ((m.tokens / m.context) * (m.context * m.d_model))
            )


@pytest.mark.parametrize(
    ("convention", "need", "orders"),
    [
        (TOKEN, 300e9, 0.234),
        (IMPLIED, 1.75e14, 3.0),
        (WIDTH, 3.686e15, 4.324),
        (POSITION, 7.550e18, 7.635),
    ],
)
def test_how_a_token_is_counted_decides_by_how_much_gpt3_falls_short(convention, need, orders):
    model = named("GPT-3 175B")
    found = needed(model, convention)
    assert (
        found is not None
        and found == pytest.approx(need, rel=1e-3)
        and orders_short(model.parameters, found) == pytest.approx(orders, abs=1e-3)
    )


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda c: c.key)
def test_without_tokens_there_is_no_nd(convention):
    assert (
        needed(named("GPT-2 1558M"), convention) is None
        and needed(named("rumoured 1e14"), convention) is None
    )


@pytest.mark.parametrize(
    ("benchmark", "harness", "shots", "count", "smallest", "largest"),
    [
        ("LAMBADA", "Brown", "zero-shot", 8, 0.427, 0.762),
        ("HellaSwag", "Brown", "zero-shot", 8, 0.337, 0.789),
        ("mean of 18", "Brown", "zero-shot", 3, 0.486, 0.619),
        ("mean of 18", "Brown", "few-shot", 3, 0.535, 0.701),
        ("LAMBADA", "DCLM", "zero-shot", 4, 0.323, 0.523),
        ("HellaSwag", "DCLM", "zero-shot", 4, 0.309, 0.502),
        ("LAMBADA", "EleutherAI", "zero-shot", 16, 0.1846, 0.739),
        ("LAMBADA", "Hoffmann", "", 2, 0.745, 0.774),
        ("HellaSwag", "Hoffmann", "", 2, 0.792, 0.808),
        ("HellaSwag", "Touvron", "", 4, 0.761, 0.842),
    ],
)
def test_accuracies_are_shares_of_one_harness(benchmark, harness, shots, count, smallest, largest):
    own = [
        a
        for a in accuracies()
        if a.benchmark.startswith(benchmark) and a.harness.startswith(harness) and a.shots == shots
    ]
    assert len(own) == count
    assert (min(a.accuracy for a in own), max(a.accuracy for a in own)) == pytest.approx(
        (smallest, largest)
    )


def test_the_image_figures_are_still_read():
    assert len(madry2018()) == 6 and madry2018()[0].accuracy == 0.90
