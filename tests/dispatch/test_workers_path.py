"""Ray's workers import nothing from the folders that the driver was started in.

Run alone: python -m pytest tests/dispatch/test_workers_path.py
"""

from pathlib import Path
from typing import Any

import pytest
import ray

from harness.dispatch import cluster, ray_internals
from harness.sweeps.sweep import Resources

RAY = Path(ray.__file__).parent


def folders_sent(config: Any) -> list[str]:
    """Return what Ray tells the workers of a job to put first on their import path."""
    return list(config._get_proto_job_config().py_driver_sys_path)


def test_the_folders_that_ray_appends_are_not_sent():
    from ray.job_config import JobConfig

    ours: Any = ray_internals.job_without_drivers_folders()
    for config in (JobConfig(), ours):
        config._py_driver_sys_path.extend(["/somebody's/store"])
    assert folders_sent(JobConfig(_py_driver_sys_path=["/a"])) == ["/a"], "Ray sends them elsewhere"
    assert folders_sent(ours) == []


def test_ray_appends_them_where_it_did():
    """On an update of Ray: read `connect` and `ray_internals.job_without_drivers_folders`."""
    connect = (RAY / "_private" / "worker.py").read_text()
    assert connect.count("job_config._py_driver_sys_path.extend(code_paths)") == 1
    assert connect.count("current_directory") == 2


def test_a_driver_under_uv_run_copies_no_folder_to_its_workers():
    constants = (RAY / "_private" / "ray_constants.py").read_text()
    name = "RAY_ENABLE_UV_RUN_RUNTIME_ENV"
    assert f'{name} = env_bool("{name}", True)' in constants
    assert ray_internals.ENVIRONMENT[name] == "0"


@pytest.mark.parametrize("address", [None, "auto"])
def test_every_connection_is_made_so(monkeypatch: pytest.MonkeyPatch, address: str | None):
    asked: list[dict[str, Any]] = []
    everything = cluster.ResourceRequest(1, 0, 1e9)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **arguments: asked.append(arguments))
    monkeypatch.setattr(cluster, "node_resources", lambda: [everything])

    assert cluster.connect(address, Resources())

    (arguments,) = asked
    arguments["job_config"]._py_driver_sys_path.extend(["/somebody's/store"])
    assert folders_sent(arguments["job_config"]) == []
