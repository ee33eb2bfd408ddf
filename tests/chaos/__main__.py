"""The long form: every scenario, a table of what was done and found, and the same as JSON.

    python -m tests.chaos [--kills 50] [--days 3] [--seed 0] [--only NAME] [--json FILE]

Exits with 1 when a committed row was lost or changed, a trial has no `ok` row that should, or shows
more than one, a run did not end, or a failure is not a row of its kind. Wants a machine with little
else to do: about half an hour.
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
from tests.chaos.store_auditor import Result
from tests.chaos.storm import Storm

Scenario = Callable[[Path], list[Result]]


def scenarios(kills: int, days: int, seed: int) -> dict[str, Scenario]:
    """By name. `kills`: of the driver; of workers and of everything half as many each."""
    environment = dict(os.environ)

    def storm(folder: Path) -> list[Result]:
        draw = random.Random(seed)
        blows = ["driver"] * kills + ["worker"] * (kills // 2) + ["everything"] * (kills // 2)
        draw.shuffle(blows)
        return [
            Storm(
                folder, seeds=3, marathons=range(512, 896, 64), epochs=1200, draw=draw
            ).break_loose(blows)
        ]

    def small_disks(folder: Path) -> list[Result]:
        return disks(folder) if can_mount() else []

    return {
        "storm": storm,
        "cluster": lambda folder: [bad_day(folder, trials=60 * days, days=days)],
        "disks": small_disks,
        "memory": lambda folder: [without_end(folder, environment)],
        "buckets": lambda folder: [a_bad_server(folder, every=3, environment=environment)],
        "rivals": lambda folder: [rivals(folder, seeds=3, inline=False)],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(scenarios(0, 0, 0)))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    results = []
    for name, scenario in scenarios(asked.kills, asked.days, asked.seed).items():
        if asked.only not in (None, name):
            continue
        clock = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="unilaw-chaos-") as folder:
            found = scenario(Path(folder))
        for result in found:
            print(told(result))
        print(
            f"{name}: {time.monotonic() - clock:.0f}"
            f" s{'' if found else ', left out: this system lets nobody mount a file system'}",
            flush=True,
        )
        results += found
    text = json.dumps([result._asdict() for result in results])
    print(text)
    if asked.json:
        asked.json.write_text(text)
    return 1 if any(result.failures for result in results) else 0


def told(result: Result) -> str:
    """Lines of a table: what was done, what was found, what went wrong."""
    lines = [
        f"{result.name:<20} {'done':<6} {what:<22} {times}" for what, times in result.did.items()
    ]
    lines += [f"{'':<20} {'found':<6} {what:<22} {value}" for what, value in result.found.items()]
    lines += [f"{'':<20} {'wrong':<6} {sentence}" for sentence in result.failures or ["nothing"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
