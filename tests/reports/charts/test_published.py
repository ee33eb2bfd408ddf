"""Charts of published models show every published figure once, at its place.

Run alone: python -m pytest tests/reports/charts/test_published.py
"""

import pytest

from reports.charts.published import accuracy_chart, places
from reports.charts.ticks import readable
from reports.evidence import read_evidence
from tests.reports.published.published_figures import ACCURACIES, MODELS, recompute
from tests.reports.stores import make_store, row


def rows_of(*families: tuple[str, tuple[int, ...]]) -> list[dict]:
    return [row(p, 100, 10, family=family) for family, ps in families for p in ps]


def test_the_strip_spans_each_family_and_marks_each_model_with_a_place(tmp_path):
    evidence = read_evidence(
        make_store(tmp_path / "s", rows_of(("sphere", (10, 2000, 300)), ("<b>other", (70,))))
    )
    (drawing,) = places(evidence.trials).drawings
    at_one, *bars = drawing.lines
    ends, marks = drawing.marks
    rows = drawing.y.names

    assert {rows[int(bar.y[0])]: bar.x for bar in bars} == {
        "sphere": (0.01, 2.0),
        "<b>other": (0.07, 0.07),
    }
    assert sorted(ends.x) == [0.01, 0.07, 0.07, 2.0] and at_one.x == (1.0, 1.0)

    known = {
        m["name"]: recompute(f"published:{m['name']}:p / (n·d), width")
        for m in MODELS.values()
        if m["tokens"] and m["d_model"]
    }
    assert len(known) == 30 and not marks.filled
    drawn = {text.split(":")[0]: x for text, x in zip(marks.texts, marks.x, strict=True)}
    assert drawn == pytest.approx(known)
    groups = {rows[int(y)] for y in marks.y}
    assert groups == {"GPT-3", "Pythia", "OPT", "Gopher", "Chinchilla", "LLaMA"}
    opt = [text for text in marks.texts if text.startswith("OPT")]
    assert any("from memory: tokens, d_model" in text for text in opt)
    low, high = (readable(float(f"{end(known.values()):.2g}")) for end in (min, max))
    assert f"at p/(n·d) of {low} to {high}, the trials" in str(drawing.caption)


def test_trials_without_a_place_have_no_bar(tmp_path):
    """A pretrained model whose tokens were not published."""
    rows = rows_of(("sphere", (10, 20))) + [row(5, family="gpt2") | {"n": None}]
    (drawing,) = places(read_evidence(make_store(tmp_path / "s", rows)).trials).drawings
    assert [drawing.y.names[int(bar.y[0])] for bar in drawing.lines[1:]] == ["sphere"]


def test_the_accuracy_chart_holds_every_figure_once_and_joins_one_harness_only():
    (drawing,) = accuracy_chart().drawings
    several = sum(len(own.x) > 1 for own in drawing.marks)
    alone = len(drawing.marks) - several
    assert f" of the {several} series of several" in str(drawing.caption)
    assert f"other {alone} series of the legend" in str(drawing.caption)
    drawn = []
    for marks in drawing.marks:
        names = [text.split(":")[0] for text in marks.texts]
        own = [
            r
            for r in ACCURACIES
            if r["model"] in names
            and marks.name.startswith(r["benchmark"])
            and f"({r['harness']})" in marks.name
        ]
        own = [r for r in own if not r["shots"] or r["shots"] in marks.name]
        assert (
            len({(r["benchmark"], r["harness"], r["shots"]) for r in own}) == 1
            and len({MODELS[n]["group"] for n in names}) == 1
        )
        assert dict(zip(names, marks.y, strict=True)) == pytest.approx(
            {r["model"]: float(r["accuracy"]) / 100 for r in own}
        )
        sizes = tuple(float(MODELS[n]["parameters"]) for n in names)
        assert marks.x == sizes == tuple(sorted(marks.x)) and not marks.filled
        drawn += own

    assert len(drawn) == len(ACCURACIES) == 54
    assert len({marks.name for marks in drawing.marks}) == len(drawing.marks) == 13
    assert [line.x for line in drawing.lines] == [marks.x for marks in drawing.marks]
