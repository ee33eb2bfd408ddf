"""Published figures: the tables hold what their sources say, and the page's numbers and charts
are those and no others."""

import csv
import json
import math
import re

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
from reports.evidence import read_evidence
from reports.published.tables import FOLDER, accuracies, language_models, madry2018
from reports.sections.published_models import accuracy_chart, places, published_models
from tests.reports.stores import make_store, row

MODELS = {
    r["name"]: r
    for r in csv.DictReader(
        (FOLDER / "language_models.csv").read_text(encoding="utf-8").splitlines()
    )
}
ACCURACIES = list(
    csv.DictReader((FOLDER / "accuracies.csv").read_text(encoding="utf-8").splitlines())
)
WIDTHS = {
    "token": lambda m: 1,
    "implied": lambda m: 1.75e14 / 300e9,
    "width": lambda m: int(m["d_model"]),
}
WIDTHS["position"] = lambda m: int(m["d_model"]) * int(m["context"])


def recompute(key: str) -> float:
    """A published number of the ledger again, from the tables alone. Also called by the page's
    own test."""
    group, _, rest = key.partition(":")
    if group == "C9":
        *earlier, value = (
            float(ACCURACIES[int(i)]["accuracy"]) for i in re.findall(r"accuracies-(\d+)", rest)
        )
        return value - earlier[0] if earlier else value / 100
    name, _, what = rest.partition(":")
    m = MODELS[name]
    gpt3, p = MODELS["GPT-3 175B"], float(m["parameters"])
    if what in ("d_model", "context"):
        return float(m[what])
    if what.startswith(("parameters, in", "tokens, in")):
        column, _, unit = what.partition(", in ")
        return float(m[column]) / {"billions": 1e9, "trillions": 1e12}[unit]
    found = re.fullmatch(r"(\|?)log10\(n·d / p\)\|?, (\w+)(, on GPT-3 175B's tokens)?", what)
    if found:
        data = gpt3 if found[3] else m
        value = (
            math.log10(float(data["tokens"])) + math.log10(WIDTHS[found[2]](data)) - math.log10(p)
        )
        return abs(value) if found[1] else value
    per_width = p / float(m["tokens"]) / float(m["d_model"])
    return {
        "parameters / (tokens · d_model)": per_width,
        "p / (n·d), width": per_width,
        "p / n": p / float(m["tokens"]),
        "n·d, width": p / per_width,
        "n·d, implied, in trillions": 175,
        "n·d, position": 300e9 * 2048 * 12288,
        "numbers per token trained on, implied": 1750 / 3,
        "numbers per token of the data set, implied": 350,
        "tokens of the data set as the claim has them, in billions": 500,
        "d_model over the numbers implied": 12288 * 3 / 1750,
    }[what]


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
    """The first two as in the log of the design; GPT-2's tokens and the rumour's are unknown,
    and nothing is guessed."""
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


def rows_of(*families: tuple[str, tuple[int, ...]]) -> list[dict]:
    return [row(p, 100, 10, family=family) for family, ps in families for p in ps]


def test_the_strip_spans_each_family_and_marks_each_model_with_a_place(tmp_path):
    evidence = read_evidence(
        make_store(tmp_path / "s", rows_of(("sphere", (10, 2000, 300)), ("<b>other", (70,))))
    )
    *bars, marks = json.loads(str(places(evidence.trials).to_json()))["data"]
    assert {bar["y"][0]: bar["x"] for bar in bars} == {
        "sphere": [0.01, 2.0],
        "&lt;b&gt;other": [0.07, 0.07],
    }
    assert sum(bar["showlegend"] for bar in bars) == 1
    known = {
        m["name"]: recompute(f"published:{m['name']}:p / (n·d), width")
        for m in MODELS.values()
        if m["tokens"] and m["d_model"]
    }
    assert len(known) == 30 and marks["marker"]["symbol"].endswith("-open")
    said = {text.split(":")[0]: x for text, x in zip(marks["text"], marks["x"], strict=True)}
    assert said == pytest.approx(known)
    assert set(marks["y"]) == {"GPT-3", "Pythia", "OPT", "Gopher", "Chinchilla", "LLaMA"}
    assert any(
        "from memory: tokens, d_model" in text for text in marks["text"] if text.startswith("OPT")
    )


def test_trials_without_a_place_have_no_bar(tmp_path):
    """A pretrained model whose tokens were not published."""
    rows = rows_of(("sphere", (10, 20))) + [row(5, family="gpt2") | {"n": None}]
    bars = json.loads(
        str(places(read_evidence(make_store(tmp_path / "s", rows)).trials).to_json())
    )["data"][:-1]
    assert [bar["y"][0] for bar in bars] == ["sphere"]


def test_the_accuracy_chart_holds_every_figure_once_and_joins_one_harness_only():
    traces = json.loads(str(accuracy_chart().to_json()))["data"]
    drawn = []
    for trace in traces:
        names = [text.split(":")[0] for text in trace["text"]]
        own = [
            r
            for r in ACCURACIES
            if r["model"] in names
            and trace["name"].startswith(r["benchmark"])
            and f"({r['harness']})" in trace["name"]
        ]
        own = [r for r in own if not r["shots"] or r["shots"] in trace["name"]]
        assert (
            len({(r["benchmark"], r["harness"], r["shots"]) for r in own}) == 1
            and len({MODELS[n]["group"] for n in names}) == 1
        )
        assert dict(zip(names, trace["y"], strict=True)) == pytest.approx(
            {r["model"]: float(r["accuracy"]) / 100 for r in own}
        )
        assert trace["x"] == [float(MODELS[n]["parameters"]) for n in names] == sorted(trace["x"])
        assert trace["marker"]["symbol"].endswith("-open")
        drawn += own
    assert len(drawn) == len(ACCURACIES) == 54
    assert len({trace["name"] for trace in traces}) == len(traces) == 13


def test_every_number_of_the_section_is_in_the_tables(tmp_path):
    found = published_models(read_evidence(make_store(tmp_path / "s", [row()])))
    assert len(found.numbers()) == len({n.key for n in found.numbers()}) > 150
    for number in found.numbers():
        assert number.value == pytest.approx(recompute(number.key)), number.key
        assert "published: " in number.how and not number.trials
    unknown = {line.model.group for line in found.lines if line.tokens is None}
    assert unknown == {"GPT-2", "rumour"} and all(
        line.short == [None] * 4 for line in found.lines if line.tokens is None
    )


def test_a_store_without_trials_has_no_strip(tmp_path):
    assert set(published_models(read_evidence(make_store(tmp_path / "s", []))).figures) == {
        "published_accuracy"
    }
    assert set(published_models(read_evidence(make_store(tmp_path / "t", [row()]))).figures) == {
        "published_accuracy",
        "published_places",
    }
