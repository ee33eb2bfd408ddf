"""clusters/slurm.sbatch: read by shellcheck, its options known to Ray, and run on two machines that
are both this one.

Run alone: python -m pytest tests/clusters/test_slurm.py
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pandas as pd
import pytest

SCRIPT = Path(__file__).resolve().parent.parent.parent / "clusters" / "slurm.sbatch"
BIN = Path(sysconfig.get_path("scripts"))

SWEEP = """
name: small
seeds: [0]
tasks:
  - task: sphere
    fixed: {n: 32, d: 4, max_epochs: 20}
    grid: {width: [4, 8]}
"""

SRUN = """#!/usr/bin/env bash
# srun, for machines that are all this one.
while [[ $1 == -* ]]; do shift; done
for machine in $(seq "$SLURM_JOB_NUM_NODES"); do
    UNILAW_TEST_MACHINE=$machine "$@" &
    pids+=($!)
done
worst=0
for pid in "${pids[@]}"; do
    wait "$pid" || { code=$?; worst=$((code > worst ? code : worst)); }
done
exit "$worst"
"""

RAY = f"""#!{sys.executable}
# ray, but: other clusters on this machine are none of ours, the second machine has other addresses
# and misses its head after 3 s instead of 60, and `ray stop` ends what this machine of this job has
# started.
import os, sys
if os.environ.get("UNILAW_TEST_MACHINE") == "2":
    os.environ["RAY_gcs_rpc_server_reconnect_timeout_s"] = "3"
import ray
from ray.scripts import scripts
import psutil
symmetric = sys.modules["ray.scripts.symmetric_run"]
symmetric.check_ray_already_started = lambda: False
if os.environ.get("UNILAW_TEST_MACHINE") == "2":
    symmetric.psutil.net_if_addrs = lambda: {{}}
if sys.argv[1] == "stop":
    ours = [os.environ[name] for name in ("SLURM_JOB_ID", "UNILAW_TEST_MACHINE")]
    ended = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if [environment.get(name) for name in ("SLURM_JOB_ID", "UNILAW_TEST_MACHINE")] == ours:
                # Agents write their title over their environment.
                ended += [process, *process.children(recursive=True)]
            elif process.ppid() == 1 and any(
                f.path.startswith(os.environ["RAY_TMPDIR"] + "/") for f in process.open_files()
            ):
                ended.append(process)  # it outlives a raylet that missed its head
        except psutil.Error:
            continue
    above = {{p.pid for p in psutil.Process().parents()}} | {{os.getpid()}}
    for process in ended:
        if process.pid not in above and process.is_running():
            process.kill()
else:
    scripts.main()
"""


def test_shellcheck_and_bash_find_nothing():
    for command in (
        [str(BIN / "shellcheck"), "--severity=style", str(SCRIPT)],
        ["bash", "-n", str(SCRIPT)],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def words_of(command: str) -> list[str]:
    """Return the words of the script's line that holds `command`, continuation lines joined."""
    lines = SCRIPT.read_text().replace("\\\n", " ").splitlines()
    line = next(line for line in lines if command in line and not line.startswith("#"))
    return line.split()


def test_rays_options_exist():
    from click import Option
    from ray.scripts.scripts import start
    from ray.scripts.symmetric_run import symmetric_run

    words = words_of("ray symmetric-run")
    of_ray = words[words.index("symmetric-run") : words.index("--")]
    used = {word.partition("=")[0] for word in of_ray if word.startswith("--")}

    known = set()
    for command in (symmetric_run, start):
        for parameter in command.params:
            if isinstance(parameter, Option):
                known |= set(parameter.opts)
    refused = {"--head", "--node-ip-address", "--port", "--block"}

    assert used >= {"--address", "--min-nodes", "--dashboard-host"}
    assert used <= known
    assert not used & refused, "symmetric-run refuses these four"


def test_the_directives_stand_before_the_first_command():
    lines = SCRIPT.read_text().splitlines()
    directives = [n for n, line in enumerate(lines) if line.startswith("#SBATCH ")]
    first_command = next(n for n, line in enumerate(lines) if line and not line.startswith("#"))
    assert directives
    assert max(directives) < first_command, "Slurm reads no directive after the first command"

    options = {lines[n].split()[1].partition("=")[0] for n in directives}
    needed = {"--nodes", "--time", "--exclusive", "--no-kill", "--requeue", "--ntasks-per-node"}
    assert options >= needed


@pytest.fixture
def job():
    """A job's number, as Slurm would give it, whose port is free. Its folder of logs is removed
    afterwards."""
    while True:
        number = random.randrange(10_000_000, 20_000_000)
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", 20_000 + number % 10_000)):
                break
    yield str(number)
    for pid in processes_of(str(number)):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(f"/tmp/ray-{number}", ignore_errors=True)


@pytest.mark.soak
def test_a_sweep_runs_over_two_machines(tmp_path, environment, job):
    tools = tmp_path / "unilaw" / "bin"  # $HOME/unilaw, as in the script
    tools.mkdir(parents=True)
    for name, text in {"srun": SRUN, "ray": RAY}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tools / "unilaw").symlink_to(BIN / "unilaw")
    (tmp_path / "small.yaml").write_text(SWEEP)
    slurm = {"HOME": str(tmp_path), "SLURM_JOB_ID": job, "SLURM_JOB_NUM_NODES": "2"}
    kept = {k: v for k, v in environment.items() if not k.startswith(("RAY_", "SLURM_"))}
    done = subprocess.run(
        ["bash", str(SCRIPT), "small.yaml", "--store", "rows"],
        cwd=tmp_path,
        env={**kept, **slurm},
        capture_output=True,
        text=True,
        timeout=240,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    for words in ("2 ok, 0 failed", "On head node", "On worker node"):
        assert words in output, output

    rows = pd.read_parquet(tmp_path / "rows")
    assert len(rows) == 2
    assert (rows["status"] == "ok").all()
    assert stat.S_IMODE((tmp_path / ".ray" / "auth_token").stat().st_mode) == 0o600

    deadline = time.monotonic() + 30
    while processes_of(job) and time.monotonic() < deadline:
        time.sleep(0.5)
    remaining = [command_line(pid) for pid in processes_of(job)]
    assert not remaining, f"Ray must end with the job: {output}"


def processes_of(job: str) -> list[int]:
    """Return the processes that the job started and left behind: those with its environment, and
    those that write its logs."""
    processes = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            writes_logs = any(
                str(file.readlink()).startswith(f"/tmp/ray-{job}/")
                for file in (process / "fd").iterdir()
            )
            environment = (process / "environ").read_bytes()
            is_of_job = writes_logs or f"SLURM_JOB_ID={job}\0".encode() in environment
            if is_of_job and (process / "cmdline").read_bytes():
                processes.append(int(process.name))
    return processes


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
