"""Charts of published models show every published figure once, at its place.

Run alone: python -m pytest tests/reports/charts/test_published.py
"""

import json

import pytest

from reports.charts.published import accuracy_chart, places
from reports.evidence import read_evidence
from tests.reports.published.published_figures import ACCURACIES, MODELS, recompute
from tests.reports.stores import make_store, row


def rows_of(*families: tuple[str, tuple[int, ...]]) -> list[dict]:
    return [row(p, 100, 10, family=family) for family, ps in families for p in ps]


@pytest.mark.slow
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
    drawn = {text.split(":")[0]: x for text, x in zip(marks["text"], marks["x"], strict=True)}
    assert drawn == pytest.approx(known)
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
