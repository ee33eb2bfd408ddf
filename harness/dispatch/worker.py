"""What Ray workers run, and how a worker makes sure that it runs this package and not a namesake.

A node, or a Ray that somebody else started, may well have another `harness`, `tasks`, `clusters`
or `reports` on its import path. So this module is sent by value (see
`harness/dispatch/worker_pool.py`): its top may import nothing of this package.
"""

import importlib.machinery
import importlib.util
import os
import sys
from typing import Any

NAMES = ("harness", "tasks", "clusters", "reports")
"""The packages of this installation."""


class Worker:
    """A process that runs one batch after another, and keeps between them what is slow to make: its
    imports, its CUDA context, compiled models and data."""

    def node(self, home: str) -> tuple[str, int]:
        """Return Ray's id of the node that this process is on and its process id, once it is ready
        to work.

        `home` is the folder that holds the packages on the driver's machine. A node that lacks the
        folder uses the unilaw that is installed there. Raises ImportError when there is neither.
        """
        import ray  # here, because every command imports this file for `pin`

        pin_on_node(home)
        import harness.execution.run_batch  # noqa: F401, so that no batch's time goes into loading torch

        return ray.get_runtime_context().get_node_id(), os.getpid()

    def work(
        self, stacks: list[list[dict[str, Any]]], settings: tuple[Any, ...]
    ) -> list[tuple[Any, ...]]:
        """Run `harness.execution.run_batch.run_batch` in this process and return each result as
        a tuple: the driver may have loaded the class from another place. End the process when it is
        told to end: the driver then does as with any that dies."""
        from harness.execution.run_batch import run_batch
        from harness.interruption import Interrupted, exit_code
        from harness.sweeps.registry import TaskRef
        from harness.sweeps.trial import Batch, RunSettings, Trial

        trials = tuple(
            tuple(Trial(t["trial_id"], TaskRef(*t["ref"]), t["config"], t["seed"]) for t in stack)
            for stack in stacks
        )
        try:
            results = run_batch(Batch(trials), RunSettings(*settings))
        except Interrupted as e:  # Ray would take it for a cancelled task, and keep the process
            os._exit(exit_code(e))
        return [tuple(result) for result in results]


def pin_on_node(home: str) -> None:
    """`pin` the packages of `home`, or else those of the unilaw that is installed on this node.
    Raises ImportError when there is neither."""
    for folder in (home, *sys.path):
        if os.path.isfile(os.path.join(folder, "harness", "dispatch", "worker.py")):
            pin(folder)
            return
    raise ImportError("unilaw is not installed on this node")


def pin(home: str) -> None:
    """Import our packages from the folder `home`, in place of any others of the same names.

    Once a package is in sys.modules, its submodules are found through the package's own path, so
    this settles every later import. Raises ImportError when `home` lacks one of the packages.
    """
    for name in NAMES:
        spec = importlib.machinery.PathFinder.find_spec(name, [home])
        if spec is None or spec.loader is None or spec.origin is None:
            raise ImportError(f"unilaw's package '{name}' is not in {home}")

        loaded_from = getattr(sys.modules.get(name), "__file__", None)
        right_one = os.path.realpath(spec.origin)
        if loaded_from is not None and os.path.realpath(loaded_from) == right_one:
            continue

        for loaded in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
            del sys.modules[loaded]
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
