"""What the tests of this folder share: one run of the mixed sweep on Ray, and one Ray of this
process."""

import contextlib
import logging
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from tests import FAILING_TASK
from tests.conftest import UNILAW
from tests.nodes import in_session
from tests.on_ray.mixed_run import INLINE, MIXED, Address, Ran, addresses_of
from tests.security.canary import SECRET

LOOK_EVERY_S = 2.0
"""How often the test looks for addresses. Each look reads the files of some twenty processes."""

CPUS = 4
GPUS = 2
"""What the Ray of this process has, in name."""

RUN = ("run", "mixed.yaml", "--task-file", "my_tasks.py", "--store")


@pytest.fixture(scope="package")
def ray_here() -> Iterator[None]:
    """A Ray of this process, with CPUS and GPUS in name. Every run of this process then uses it."""
    ray.init(
        address="local",
        num_cpus=CPUS,
        num_gpus=GPUS,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Ran:
    place = tmp_path_factory.mktemp("mixed")
    home = place / f"home-of-{SECRET}"
    work = home / "work"
    put_secrets(home)
    put_namesakes(work)
    (work / "inline.yaml").write_text(INLINE)
    (work / "mixed.yaml").write_text(MIXED.replace("MARKER", str(place / "marker")))
    shutil.copy(FAILING_TASK, work / "my_tasks.py")

    variables = secret_variables(home)
    store = place / "rows"
    listened: set[Address] = set()
    with (place / "out").open("w") as out, (place / "err").open("w") as err:
        process = subprocess.Popen(
            [UNILAW, *RUN, str(store)],
            cwd=work,
            env={**environment, **variables},
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        deadline = time.monotonic() + 500
        while process.poll() is None:
            assert time.monotonic() < deadline, (place / "err").read_text()
            listened |= addresses_of(in_session(process.pid))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY_S)

    done = subprocess.CompletedProcess(
        process.args, process.wait(), (place / "out").read_text(), (place / "err").read_text()
    )
    return Ran(work, store, variables, done, listened)


def put_namesakes(folder: Path) -> None:
    """Put the user's own packages there, which must not be taken for ours."""
    for name in ("harness", "tasks", "clusters", "reports"):
        (folder / name).mkdir()
        for file in ("__init__", "worker"):
            (folder / name / f"{file}.py").write_text(
                f"raise RuntimeError('the user’s own {name} was imported')\n"
            )


def put_secrets(home: Path) -> None:
    """Put the files there in which people keep secrets."""
    for file, text in {
        ".aws/credentials": (
            f"[default]\naws_access_key_id = {SECRET}\naws_secret_access_key = {SECRET}\n"
        ),
        ".cache/huggingface/token": SECRET,
        ".netrc": f"machine example.org login me password {SECRET}\n",
        ".git-credentials": f"https://me:{SECRET}@example.org\n",
        "work/.env": f"PASSWORD={SECRET}\n",
    }.items():
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_text(text)


def secret_variables(home: Path) -> dict[str, str]:
    """Return the environment variables in which people keep secrets, and some others."""
    names = (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "HF_TOKEN",
        "DATABASE_PASSWORD",
        "USER",
        "LOGNAME",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "WANDB_API_KEY",
        "RAY_AUTH_TOKEN",
    )
    return {
        **dict.fromkeys(names, SECRET),
        "HOME": str(home),
        "RAY_AUTH_MODE": "token",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
