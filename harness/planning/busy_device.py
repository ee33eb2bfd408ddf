"""How much longer training takes while other processes train on the same device: on all other
cores, or on the same GPU."""

import select
import subprocess
import sys
from collections.abc import Callable

from harness import HOME
from harness.planning.cores import cores_here
from harness.planning.devices import Device

START_S = 60.0
"""Seconds that a process may take until it trains: it loads torch."""

TRAINS = "harness.planning.timing"
"""The module that trains on a device until it is killed."""

SHARING_A_GPU = 4
"""Processes on one GPU that are timed."""


def slowdown_beside_others(device: Device, some_steps: Callable[[], float]) -> tuple[float, int]:
    """Return the time of training steps while other processes do the same, over their time alone,
    and how many processes were at work. `some_steps` trains and returns its seconds.

    Raises TimeoutError when a process does not start.
    """
    processes = max(1, cores_here() // device.threads)
    if device.kind == "cuda":
        processes = min(SHARING_A_GPU, processes)

    alone = some_steps()
    command = [sys.executable, "-m", TRAINS, device.kind, str(device.threads)]
    busy = [
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HOME) for _ in range(processes - 1)
    ]
    try:
        for process in busy:
            assert process.stdout is not None
            if not select.select([process.stdout], [], [], START_S)[0]:
                raise TimeoutError(
                    f"a process of this machine did not start within {START_S:.0f} s"
                )
        return max(1.0, some_steps() / alone), processes
    finally:
        for process in busy:
            process.kill()
            process.communicate()
