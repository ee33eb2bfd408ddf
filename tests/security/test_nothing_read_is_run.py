"""What is only read is never run: no unpickling, no shell, no task file that nobody named.

Run alone: python -m pytest tests/security/test_nothing_read_is_run.py
"""

import ast
from pathlib import Path

import pytest

from harness.store.store import Store, SweepRecord
from tests import ROOT
from tests.reports.stores import make_store, row

FORBIDDEN_MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
    "cloudpickle",
}

FORBIDDEN_CALLS = {
    "torch.load",
    "pd.read_pickle",
    "pandas.read_pickle",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.full_load",
    "os.system",
    "os.popen",
    "eval",
}

FORBIDDEN_ARGUMENTS = {"allow_pickle", "trust_remote_code", "shell", "weights_only"}

EXCEPTIONS = {
    ("harness/sweeps/registry.py", "exec"): "runs the --task-file that its user named",
    (
        "harness/dispatch/worker_pool.py",
        "cloudpickle",
    ): "sends harness/dispatch/worker.py to workers by value",
    ("harness/dispatch/multi_gpu.py", "cloudpickle"): "the same",
}


def offences(source: str) -> set[str]:
    """What a file does that reading a stranger's store must never lead to."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {
                alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES
            }
        elif isinstance(node, ast.ImportFrom):
            found |= {
                name
                for name in (node.module or "", *(a.name for a in node.names))
                if name.split(".")[0] in FORBIDDEN_MODULES
            }
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            found |= {called} & (FORBIDDEN_CALLS | {"exec"})
            for keyword in node.keywords:
                if keyword.arg in FORBIDDEN_ARGUMENTS and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                ):
                    found.add(str(keyword.arg))
        elif isinstance(node, ast.ClassDef):
            found |= {
                b
                for b in map(ast.unparse, node.bases)
                if b in ("yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader")
            }
    return found


@pytest.mark.slow
def test_nothing_that_is_read_is_ever_run():
    found = {
        (str(path.relative_to(ROOT)), what)
        for package in ("harness", "tasks", "clusters", "reports")
        for path in (ROOT / package).rglob("*.py")
        for what in offences(path.read_text())
    }
    assert found == set(EXCEPTIONS)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from ray import cloudpickle",
        "import torch\ntorch.load(f)",
        "eval(x)",
        "np.load(f, allow_pickle=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=yes)",
        "subprocess.run(c, shell=True)",
        "class L(yaml.UnsafeLoader): pass",
    ],
)
def test_the_search_for_it_sees_it(source: str):
    assert offences(source)


@pytest.mark.slow
def test_a_stores_copy_of_a_task_file_is_not_run(tmp_path: Path, unilaw_here):
    """Whoever wrote the store wrote its `_sweeps/*.py`; only a file that is named on the command
    line runs."""
    folder = make_store(
        tmp_path / "store",
        [row(5, task="theirs", weights_file="_weights/x.safetensors", measures_version=1)],
        sweep=False,
    )
    source = f"import pathlib\npathlib.Path({str(tmp_path / 'owned')!r}).touch()\n"
    Store.open(folder).put_sweep(
        SweepRecord(
            name="made", text="name: made\n", task_source=source, trials={"0" * 16: "theirs"}
        )
    )
    done = unilaw_here("measure", "store", "--inline", cwd=tmp_path)
    assert (
        done.returncode == 2 and "--task-file" in done.stderr and not (tmp_path / "owned").exists()
    )
