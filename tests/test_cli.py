"""The `unilaw` command in this process: what each subcommand prints, and the exit code with
which it ends.

Run alone: python -m pytest tests/test_cli.py
"""

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

import jsonschema
import pytest

import harness
from harness.cli import main
from harness.store.records import SweepRecord
from harness.store.schema import COLUMNS
from harness.store.store import Store
from harness.sweeps.installed import BUILT_IN
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.sweep import parse_sweep
from tests import FAILING_TASK

SMALL = """\
name: small
seeds: [0, 1]
limits: {measure_points: 8}
tasks:
  - task: sphere
    fixed: {n: 16, d: 3, max_epochs: 2}
    grid: {width: [2, 4]}
"""


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """`command("plan", "small.yaml")` in a folder that holds SMALL as small.yaml."""
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL)

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["unilaw", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        streams = capsys.readouterr()
        return Ended(int(ended.value.code or 0), streams.out, streams.err)

    return call


def test_version(command):
    assert command("--version").out == f"unilaw {harness.__version__}\n"


# tasks


@pytest.mark.slow
def test_tasks_lists_every_field_and_every_column(command):
    done = command("tasks")
    assert (done.code, done.err) == (0, "")
    words = " ".join(done.out.split())
    for name in BUILT_IN:
        task = load(TaskRef(name))
        assert f"{name} (version {task.version}): {(task.__doc__ or '').strip()}" in done.out
        for field in task.Config.model_fields:
            assert re.search(rf"^{field} ", done.out, re.MULTILINE), field
    for column in COLUMNS:
        (line,) = (
            re.findall(rf"^{column.name} .*$", done.out, re.MULTILINE)
            if column.name != "n"
            else re.findall(r"^n +int64.*$", done.out, re.M)
        )
        assert column.unit in line and column.meaning[:40] in words


@pytest.mark.slow
def test_tasks_shows_types_bounds_and_defaults(command):
    out = command("tasks").out
    assert re.search(
        r'^stop +noise \| interpolate \| epochs +"noise" +noise: train until', out, re.MULTILINE
    )
    assert re.search(r"^width +int ≥ 1 ≤ 1000000 +64 +hidden units", out, re.MULTILINE)
    assert re.search(r"^lr +float > 0.* ≤ 10.* +0.001 +Adam's learning rate", out, re.MULTILINE)


ODD = """
from typing import Any
from harness.task import Config, Field, Task

class OddConfig(Config):
    maybe: int | None = Field(None, description="[bold]may be absent[/bold]")
    several: list[int] = Field(default_factory=lambda: [1, 2])

class Odd(Task):
    name = "odd"
    Config = OddConfig
    data = input_shape = model = lambda *_: None
"""


@pytest.mark.slow
def test_tasks_of_a_file_without_descriptions_and_with_unusual_types(command):
    Path("odd.py").write_text(ODD)
    done = command("tasks", "--task-file", "odd.py")
    assert done.code == 0
    assert "odd (version 1): no description" in done.out
    assert re.search(
        r"^maybe +int \| null +null +\[bold\]may be absent\[/bold\]$", done.out, re.MULTILINE
    ), "not read as markup"
    assert re.search(r"^several +list\[int\] +\[1, 2\]$", done.out, re.MULTILINE)


# plan


def test_plan_prints_a_line_per_cell_and_the_sums(command):
    done = command("plan", "small.yaml")
    assert (done.code, done.err) == (0, "")
    head, *lines = done.out.splitlines()
    assert head.split()[:4] == ["task", "cell", "seeds", "p"]
    assert [line.split()[:4] for line in lines[:2]] == [
        ["sphere", "width=2", "2", "11"],
        ["sphere", "width=4", "2", "21"],
    ]
    sums, batching, forecast, longest = lines[2:]
    assert sums.startswith("small: 2 cells, 4 trials, ≤ ")
    assert batching.startswith(
        "In 1 batch: 4 trials in 1 stack trained as one program each, as the calibration "
    )
    assert forecast == (
        "Forecast: 0 s of work, 0 s with 1 batch at a time here, after about 8 s in which Ray"
        " starts."
    )
    assert longest.endswith("; on any cluster at most 1 run at a time.")


def test_plan_as_json(command):
    done = command("plan", "small.yaml", "--json")
    made = json.loads(done.out)
    assert (done.code, made["sweep"], made["trials"], made["repeated"]) == (0, "small", 4, 0)
    assert [(c["p"], c["seeds"], c["tokens_seen_at_most"]) for c in made["cells"]] == [
        (11, 2, 32),
        (21, 2, 32),
    ]
    assert (made["batches"], made["stacks"], made["stacked_trials"]) == (1, 1, 4)
    assert 0 < made["wall_seconds"] <= 1.5 * made["trial_seconds"]
    assert made["flops_at_most"] == sum(c["flops_at_most"] * c["seeds"] for c in made["cells"])


@pytest.mark.parametrize(
    "asked",
    [["plan"], ["run", "--store", "rows"], ["run", "--store", "rows", "--inline"]],
    ids=" ".join,
)
def test_what_cannot_fit_is_refused_before_anything_is_made(command, asked: list[str]):
    Path("tight.yaml").write_text(SMALL + "resources: {memory_gb: 0.1}\n")
    done = command(*asked, "tight.yaml")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(
        "unilaw: 2 of 2 cells cannot fit: the largest, sphere with p = 21, needs about 0.6 GB"
    )
    assert not Path("rows").exists()


# run


@pytest.mark.slow
def test_run_inline_says_what_it_did_and_then_has_nothing_to_do(command):
    first = command("run", "small.yaml", "--inline")
    assert first.code == 0
    assert re.fullmatch(
        r"4 ok, 0 failed, 0 finished before, \d+ s; rows in runs/small\n", first.out
    )
    assert len(Store.open(Path("runs/small")).read().rows) == 4
    again = command("run", "small.yaml", "--inline")
    assert (again.code, again.out.split(",")[2]) == (0, " 4 finished before")
    assert "0 trials to run, 4 finished before" in again.err


@pytest.mark.slow
def test_store_option_wins_over_the_files(command):
    Path("small.yaml").write_text(SMALL + "store: from-file\n")
    assert command("run", "small.yaml", "--inline", "--store", "from-option").code == 0
    assert Path("from-option").is_dir() and not Path("from-file").exists()


@pytest.mark.slow
def test_trial_by_the_beginning_of_its_id(command):
    command("run", "small.yaml", "--inline", "--store", "all")
    chosen = Store.open(Path("all")).read().rows["trial_id"][2]
    assert (
        command("run", "small.yaml", "--inline", "--store", "one", "--trial", chosen[:12]).code == 0
    )
    assert Store.open(Path("one")).read().rows["trial_id"].tolist() == [chosen]
    wrong = chosen[:-1] + "x"
    done = command("run", "small.yaml", "--inline", "--store", "none", "--trial", wrong)
    assert (done.code, done.err) == (
        2,
        f"unilaw: --trial {wrong}: the sweep 'small' has no such trial; did you mean '{chosen}'?\n",
    )
    assert not Path("none").exists()


def test_inline_and_address_exclude_each_other(command):
    done = command("run", "small.yaml", "--inline", "--address", "auto", "--store", "rows")
    assert (done.code, done.out) == (2, "")
    assert (
        done.err
        == "unilaw: --inline runs in this process and --address on a cluster; give one of them\n"
    )
    assert not Path("rows").exists()


def test_an_address_without_a_cluster_leaves_no_store(command):
    done = command("run", "small.yaml", "--address", "127.0.0.1:1", "--store", "rows")
    assert done.code == 2 and done.err.startswith(
        "unilaw: --address 127.0.0.1:1: no Ray cluster answers there"
    )
    assert not Path("rows").exists()


@pytest.mark.slow
def test_a_failed_trial_gives_exit_code_1_and_is_told(command):
    Path("bad.yaml").write_text(
        "name: bad\nseeds: [0]\nlimits: {measure_points: 8}\n"
        "tasks:\n  - task: trouble\n    grid: {how: [none, raise]}\n"
    )
    done = command("run", "bad.yaml", "--inline", "--task-file", str(FAILING_TASK))
    assert done.code == 1
    assert done.out.startswith("1 ok, 1 failed (1 bug), 0 finished before")
    assert "trouble: bug: LookupError: the cat sat on it" in done.err


# status and compact


@pytest.mark.slow
def test_status_counts_done_failed_and_left(command):
    Path("bad.yaml").write_text(
        "name: bad\nseeds: [0]\nlimits: {measure_points: 8}\n"
        "tasks:\n  - task: trouble\n    grid: {how: [none, raise, nan]}\n"
    )
    command("run", "bad.yaml", "--inline", "--store", "rows", "--task-file", str(FAILING_TASK))
    left = {f"{k:016x}": "sphere" for k in range(5)}
    Store.open(Path("rows")).put_sweep(
        SweepRecord(name="left", text="", task_source=None, trials=left)
    )
    Path("rows/notes.txt").write_text("")
    done = command("status", "rows")
    lines = done.out.splitlines()
    assert done.code == 0
    assert [line.split() for line in lines[:4]] == [
        ["task", "done", "failed", "kinds", "left"],
        ["sphere", "0", "0", "5"],
        ["trouble", "1", "2", "1", "bug,", "1", "nan", "0"],
        ["all", "1", "2", "5"],
    ]
    said = "3 rows, one for each attempt of a trial and each repeated measurement; the last trial"
    assert lines[4].startswith(f"{said} ended at 20") and lines[4].endswith(" UTC")
    assert lines[5].startswith("notes.txt: is not part of the store")


def test_status_of_an_empty_store(command):
    Store.create(Path("rows"))
    assert command("status", "rows").out == "no trials yet\n"


@pytest.mark.slow
def test_compact(command):
    command(
        "run",
        "small.yaml",
        "--inline",
        "--store",
        "rows",
        "--trial",
        parse_sweep(SMALL, "small.yaml").trials[0].trial_id,
    )
    command("run", "small.yaml", "--inline", "--store", "rows")
    done = command("compact", "rows", "small")
    assert (done.code, done.out) == (0, "4 rows from 2 files, now one file in small\n")
    assert command("compact", "rows", "small").code == 2


# schema, and mistakes at the prompt


@pytest.mark.slow
def test_schema_is_json_schema(command):
    done = command("schema")
    assert done.code == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(done.out))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["status", "nothing"],
            (
                "unilaw: there is no store 'nothing'; it must be a folder that `unilaw run` has"
                " written"
            ),
        ),
        (["compact", "nothing", "there"], "unilaw: there is no store 'nothing'"),
        (
            ["plan", "nothing"],
            "unilaw: there is no sweep file 'nothing', and the shipped sweeps are ",
        ),
        (["run", "quickstrat"], "did you mean 'quickstart'?"),
        (
            ["run", "small.yaml", "--task-file", "none.py"],
            "unilaw: --task-file none.py: cannot be read: No such file",
        ),
        (["selftest", "--only", "gptlaw"], "unilaw: --only 'gptlaw': is no design; allowed: "),
        (["plan", "small.yaml", "--bogus"], "No such option: --bogus"),
        (["plna", "small.yaml"], "No such command 'plna'"),
        (["plan"], "Missing argument 'SWEEP'"),
        (["run"], "Missing argument 'SWEEP'"),
    ],
    ids=" ".join,
)
def test_mistakes_at_the_prompt_give_exit_code_2(command, arguments: list[str], words: str):
    done = command(*arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err and "Traceback" not in done.err


def test_every_command_is_explained(command):
    assert command("-h").out == command("--help").out
    for name in ("tasks", "plan", "run", "status", "report", "suggest", "selftest", "schema"):
        done = command(name, "-h")
        assert done.code == 0 and f"unilaw {name}" in done.out
