"""Check what needs a GPU, in under eight minutes.

    python -m tests.gpu                 # everything, and a table at the end
    python -m tests.gpu mlps windows    # some parts
    python -m tests.gpu --on cpu        # every part at a tiny size, on a machine without a GPU

Every part is a process with a time limit. A part that fails, crashes or hangs costs only itself,
and the lines that it had said before stand in the table. Exit code 0: all parts ended and all
figures are as wanted; 1: not so; 2: there is no GPU.
"""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from tests.gpu.line import Line, Place

LIMITS = {
    "equality": {"cuda": 80, "cpu": 100},
    "mlps": {"cuda": 50, "cpu": 60},
    "adversaries": {"cuda": 30, "cpu": 60},
    "measuring": {"cuda": 45, "cpu": 60},
    "windows": {"cuda": 80, "cpu": 60},
    "forecast": {"cuda": 70, "cpu": 60},
    "utilisation": {"cuda": 115, "cpu": 60},
}
"""Parts in order, and the seconds that each may take: under 480 in all on either device. On a CPU
equality takes 22 processor seconds, and no other part more than 11."""

NO_GPU = "torch sees no CUDA GPU here; --on cpu exercises every part at a tiny size"


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("parts", nargs="*", metavar="PART", help=", ".join(LIMITS))
    options.add_argument("--on", default="cuda", choices=["cuda", "cpu"])
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    unknown = [part for part in chosen.parts if part not in LIMITS]
    if unknown:
        options.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(LIMITS)}")
    if chosen.on == "cuda" and not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 2

    if chosen.inside:
        for line in _lines_of(chosen.parts[0], Place(torch.device(chosen.on))):
            print(line.as_json(), flush=True)
        return 0

    console = Console()
    found: dict[str, list[Line]] = {}
    for part in chosen.parts or LIMITS:
        console.print(f"{part} …", highlight=False)
        command = [sys.executable, *_inside(part, chosen.on)]
        found[part] = check_part(command, LIMITS[part][chosen.on])
    console.print(_table(found, chosen.on))
    lines = [line for of_part in found.values() for line in of_part]
    return 0 if all(line.met is not False for line in lines) else 1


def check_part(command: list[str], limit: float) -> list[Line]:
    """Run a part as a process, and return its lines. Where it ends badly or too late, the last line
    says so."""
    clock = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "stdout"
        errors = Path(folder) / "stderr"
        with said.open("w") as out, errors.open("w") as err:
            # A session of its own: what the part has started ends with it.
            process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)
            try:
                code: int | None = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end(process)

        lines = [_line(text) for text in said.read_text().splitlines() if text.startswith("{")]
        last_words = (errors.read_text().strip().splitlines() or [""])[-1]

    seconds = f"{time.perf_counter() - clock:.0f} s"
    if code is None:
        return [*lines, Line("the part", f"not done in {limit:g} s", "done", False)]
    if code:
        return [*lines, Line("the part", f"code {code}: {last_words[:200]}", "code 0", False)]
    return [*lines, Line("the part", f"done in {seconds}")]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _inside(part: str, device: str) -> list[str]:
    return ["-m", "tests.gpu", part, "--on", device, "--inside"]


def _line(text: str) -> Line:
    return Line(**json.loads(text))


def _lines_of(part: str, place: Place):
    return importlib.import_module(f"tests.gpu.{part}").run(place)


def _table(found: dict[str, list[Line]], device: str) -> Table:
    name = torch.cuda.get_device_name() if device == "cuda" else "a CPU, at tiny sizes"
    table = Table(title=f"On {name}, torch {torch.__version__}", title_justify="left")
    for column in ("part", "what", "figure", "wanted", ""):
        table.add_column(column, overflow="fold")
    for part, lines in found.items():
        for line in lines:
            verdict = {None: "", True: "yes", False: "NO"}[line.met]
            table.add_row(part, line.what, line.figure, line.wanted, verdict)
        table.add_section()
    return table


if __name__ == "__main__":
    sys.exit(main())
