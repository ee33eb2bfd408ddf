"""`unilaw run --from PAGE.html` takes plain data from a page, whoever made it, and nothing else.

Run alone: python -m pytest tests/sweeps/test_from_page.py
"""

import json
from pathlib import Path
from random import Random

import pytest

from harness.errors import UserError
from harness.sweeps.from_page import BLOCK, sweep_in_page
from harness.sweeps.messages import show
from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Trial
from reports.evidence import read_evidence
from reports.page import render
from reports.sweep_texts import without_store
from tasks import corpora, digits
from tests.reports.stores import make_store, row

SWEEP = """\
name: small
seeds: [0, 1]
store: s3://somebody/else
tasks:
  - task: sphere
    fixed: {n: 16, d: 3}
    grid: {width: [2, 4]}
"""
OWN = """\
from harness.task import Config
from tasks.sphere import Sphere

class Mine(Sphere):
    name = "mine"
"""


def page_of(folder: Path, *sweeps: object, text: str | None = None) -> Path:
    """Return a page that carries these sweeps, each its text or anything else."""
    listed = [
        {"name": f"s{k}", "text": sweep} if isinstance(sweep, str) else sweep
        for k, sweep in enumerate(sweeps)
    ]
    block = json.dumps(listed) if text is None else text
    page = folder / "page.html"
    page.write_text(f'<p>x</p><script type="application/json" id="{BLOCK}">{block}</script>')
    return page


def taken(
    page: Path, name: str | None = None, read_sources: bool = False, task_file: Path | None = None
) -> tuple[tuple[Trial, ...], str]:
    sweep = sweep_in_page(page, name, refs_in(task_file) if task_file else {}, read_sources, print)
    return sweep.trials, sweep.store


def test_the_sweep_of_a_page_asks_for_the_same_trials(tmp_path: Path):
    trials, store = taken(page_of(tmp_path, SWEEP))
    assert trials == parse_sweep(SWEEP, "small.yaml").trials and len(trials) == 4
    assert store == "runs/from-page/small", "rows go to no place that the page names"


@pytest.mark.slow
def test_a_page_of_unilaw_report_carries_its_sweeps(tmp_path: Path):
    from harness.store.records import SweepRecord
    from harness.store.store import Store

    hostile = SWEEP.replace("small", "other") + "# </script><script>alert(1)</script>\n"
    folder = make_store(tmp_path / "store", [row(10)], sweep=False)
    for name, text in (("small", SWEEP), ("other", hostile)):
        record = SweepRecord(name=name, text=text, task_source=OWN, trials={"a" * 16: "sphere"})
        Store.open(folder).put_sweep(record)
    page = tmp_path / "page.html"
    page.write_text(render(read_evidence(folder)))

    assert taken(page, "small")[0] == parse_sweep(SWEEP, "small.yaml").trials
    assert len(taken(page, "other")[0]) == 4
    with pytest.raises(UserError, match="several sweeps; name one of 'other', 'small'"):
        taken(page)


def test_a_task_of_the_makers_own_needs_its_file(tmp_path: Path):
    page = page_of(tmp_path, SWEEP.replace("sphere", "mine"))
    with pytest.raises(UserError, match=r"s0:5: the task 'mine' is not installed.*--task-file"):
        taken(page)
    (tmp_path / "mine.py").write_text(OWN)
    trials, _ = taken(page, task_file=tmp_path / "mine.py")
    assert {trial.ref.name for trial in trials} == {"mine"} and len(trials) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "fields", "named"),
    [
        ("text", 'source: "text:/home/me/notes", stop: epochs', "'text:/home/me/notes'"),
        ("text", 'source: "hub:a/b", megabytes: 1, stop: epochs', "'hub:a/b'"),
        ("mnist", "source: hub, label_flip: 0.1", "'hub'"),
        ("pretrained", "", "'hub:openai-community/gpt2'"),
    ],
)
def test_sources_are_shown_and_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, fields: str, named: str
):
    def refuse(*arguments: object, **others: object) -> None:
        raise AssertionError(f"read: {arguments}")

    for module, name in (
        (corpora, "documents"),
        (corpora, "source_identity"),
        (digits, "_from_hub"),
    ):
        monkeypatch.setattr(module, name, refuse)
    page = page_of(
        tmp_path, f"name: s\nseeds: [0]\ntasks:\n  - task: {task}\n    fixed: {{{fields}}}\n"
    )
    with pytest.raises(UserError) as refused:
        taken(page)
    assert f"reads {named}" in str(refused.value) and "--read-sources" in str(refused.value)


@pytest.mark.slow
def test_with_the_flag_sources_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = tmp_path / "notes"
    source.mkdir()
    for k in range(4):
        (source / f"{k}.txt").write_text("".join(Random(k).choices("abcdefgh ", k=60_000)))
    fields = f'{{source: "text:{source}", stop: epochs}}'
    text = f"name: s\nseeds: [0]\ntasks:\n  - task: text\n    fixed: {fields}\n"
    trials, _ = taken(page_of(tmp_path, text), read_sources=True)
    assert len(trials) == 1 and f"reads {show(f'text:{source}')}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "its list of sweeps cannot be read"),
        ("3", "its list of sweeps cannot be read"),
        ('[{"name": 3, "text": "x"}]', "its list of sweeps cannot be read"),
        ('[{"name": "x"}]', "its list of sweeps cannot be read"),
        ("[" * 100_000, "its list of sweeps cannot be read"),
        ("[]", "has no sweep file"),
    ],
)
def test_a_spoilt_block_is_one_sentence(tmp_path: Path, text: str, words: str):
    with pytest.raises(UserError, match=words):
        taken(page_of(tmp_path, text=text))


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch here']",
        "name: &a x\nseeds: *a\n",
        SWEEP.replace("small", "../../evil"),
        SWEEP.replace("[2, 4]", "{range: [1, 100000000]}"),
        SWEEP + "surprise: 1\n",
        "",
    ],
)
def test_a_hostile_sweep_is_refused_as_a_sweep_file_is(tmp_path: Path, text: str):
    with pytest.raises(UserError, match=r"page\.html, sweep s0:\d+: "):
        taken(page_of(tmp_path, text))


def test_what_is_no_page_is_refused(tmp_path: Path):
    (tmp_path / "page.html").write_text("<p>nothing</p>")
    with pytest.raises(UserError, match="is no page of `unilaw report`"):
        taken(tmp_path / "page.html")
    with pytest.raises(UserError, match="cannot be read"):
        taken(tmp_path / "nowhere.html")
    with pytest.raises(UserError, match="no sweep 's1'; it has 's0'"):
        taken(page_of(tmp_path, SWEEP), "s1")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("name: a\nstore: s3://b/c  # mine\nseeds: [0]\n", "name: a\nseeds: [0]\n"),
        ("store: >\n  here\n  or there\nname: a\n", "name: a\n"),
        ("name: a\n'store': here", "name: a\n"),
        ("name: a\ntasks: [{task: store}]\n", "name: a\ntasks: [{task: store}]\n"),
        ("{name: a, store: here}", ""),
        ("store: [", ""),
    ],
)
def test_the_makers_store_is_not_in_the_page(text: str, left: str):
    assert without_store(text) == left
