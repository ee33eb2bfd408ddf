"""The long form: run every scenario, print a table of what was done and found, and the same as
JSON.

    python -m tests.chaos [--kills 50] [--days 3] [--seed 0] [--only NAME] [--json FILE]

Exits with 1 when a committed row was lost or changed, when a trial that should has no `ok` row or
shows more than one, when a run did not end, or when a failure is not a row of its kind. Takes about
three quarters of an hour on a machine with little else to do.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.buckets import a_bad_server
from tests.chaos.cluster import bad_day
from tests.chaos.disks import can_mount, disks
from tests.chaos.memory import without_end
from tests.chaos.rivals import rivals
from tests.chaos.signals import a_worker_is_told, told_to_end
from tests.chaos.store_auditor import Result
from tests.chaos.storm import Storm

Scenario = Callable[[Path], list[Result]]


def scenarios(kills: int, days: int, seed: int) -> dict[str, Scenario]:
    """Return the scenarios by name. `kills` is how often the driver is killed; workers and
    everything at once are killed half as often each."""
    environment = dict(os.environ)

    def storm(folder: Path) -> list[Result]:
        draw = random.Random(seed)
        blows = ["driver"] * kills + ["worker"] * (kills // 2) + ["everything"] * (kills // 2)
        draw.shuffle(blows)
        runs = Storm(folder, seeds=3, marathons=range(512, 896, 64), epochs=1200, draw=draw)
        return [runs.break_loose(blows)]

    def small_disks(folder: Path) -> list[Result]:
        return disks(folder) if can_mount() else []

    return {
        "storm": storm,
        "cluster": lambda folder: [bad_day(folder, trials=60 * days, days=days)],
        "disks": small_disks,
        "memory": lambda folder: [without_end(folder, environment)],
        "buckets": lambda folder: [a_bad_server(folder, every=3, environment=environment)],
        "rivals": lambda folder: [rivals(folder, seeds=3, inline=False)],
        "six rivals": lambda folder: [rivals(folder, seeds=8, inline=True, drivers=6)],
        "signals": lambda folder: [told_to_end(folder, environment)],
        "worker": lambda folder: [a_worker_is_told(folder, environment)],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(scenarios(0, 0, 0)))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    results = []
    for name, scenario in scenarios(arguments.kills, arguments.days, arguments.seed).items():
        if arguments.only not in (None, name):
            continue
        clock = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="unilaw-chaos-") as folder:
            of_scenario = scenario(Path(folder))
        for result in of_scenario:
            print(table(result))
        note = "" if of_scenario else ", left out: this system lets nobody mount a file system"
        print(f"{name}: {time.monotonic() - clock:.0f} s{note}", flush=True)
        results += of_scenario

    text = json.dumps([result._asdict() for result in results])
    print(text)
    if arguments.json:
        arguments.json.write_text(text)
    return 1 if any(result.failures for result in results) else 0


def table(result: Result) -> str:
    """Return the lines of a table: what was done, what was found, what went wrong."""
    lines = [
        f"{result.name:<20} {'done':<6} {what:<22} {times}" for what, times in result.did.items()
    ]
    lines += [f"{'':<20} {'found':<6} {what:<22} {value}" for what, value in result.found.items()]
    lines += [f"{'':<20} {'wrong':<6} {sentence}" for sentence in result.failures or ["nothing"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
