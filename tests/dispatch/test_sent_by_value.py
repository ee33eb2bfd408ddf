"""What is sent to other nodes by value arrives there without any import of this package, since a
node may find a namesake in its place.

Run alone: python -m pytest tests/dispatch/test_sent_by_value.py
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle

from harness.dispatch import multi_gpu, worker
from tests.on_cluster.job_cluster import folder_with_namesakes

ARRIVE = """
import sys
from ray import cloudpickle
cloudpickle.loads(sys.stdin.buffer.read())
assert not [name for name in sys.modules if name.split(".")[0] == "harness"]
"""


@pytest.fixture
def by_value() -> Iterator[None]:
    for module in (worker, multi_gpu):
        cloudpickle.register_pickle_by_value(module)
    yield
    for module in (worker, multi_gpu):
        cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent",
    [worker.Worker, multi_gpu._coordinate, multi_gpu._process],
    ids=["actor", "coordinator", "process"],
)
def test_it_arrives_where_another_package_has_our_name(sent: Any, by_value: None, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", ARRIVE],
        input=cloudpickle.dumps(sent),  # pyright: ignore[reportPrivateImportUsage]
        cwd=folder_with_namesakes(tmp_path),
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
