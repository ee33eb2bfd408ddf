"""How fast a report opens in Chromium, and how fast its table of trials answers a key.

.venv/bin/python -m tests.benchmarks.page_speed PAGE.html
"""

import argparse
import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
)
ASK = """
<pre id="speed"></pre><script>
addEventListener("load", () => {
  const seconds = {load: performance.now() / 1000};
  const filter = document.getElementById("filter");
  const press = words => {
    const clock = performance.now();
    filter.value = words;
    filter.dispatchEvent(new Event("input"));
    document.getElementById("trial-table").getBoundingClientRect();
    return (performance.now() - clock) / 1000;
  };
  filter.closest("details").open = true;
  seconds.open = press("");  // reads the rows
  setTimeout(() => {
    seconds.key = Math.max(press("s"), press("sp"), press("spx"));
    document.getElementById("speed").textContent = JSON.stringify(seconds);
  }, 0);
});
</script>
"""


def in_browser(page: Path, script: str, result: str, *options: str) -> str:
    """Return the text of the element `result` after the page has run the script, which is put at
    its end."""
    if CHROMIUM is None:
        raise SystemExit("no Chromium on this machine")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "page.html"
        copy.write_text(page.read_text(encoding="utf-8") + script, encoding="utf-8")
        command = [
            CHROMIUM,
            *OPTIONS.split(),
            f"--user-data-dir={scratch}/profile",
            *options,
            "--dump-dom",
            copy.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    found = re.search(rf'<pre id="{result}">(.+?)</pre>', done.stdout, re.S)
    if found is None:
        raise SystemExit(f"the page gave no result: {done.stderr[-1000:]}")
    return html.unescape(found[1])


def speed(page: Path) -> dict[str, float]:
    """Return the seconds until the page is loaded, until its table is open, and that the slowest of
    three keys in its search takes."""
    return json.loads(in_browser(page, ASK, "speed", "--timeout=60000"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    for what, seconds in speed(parser.parse_args().page).items():
        print(f"{what:>6} {seconds:.2f} s")


if __name__ == "__main__":
    main()
