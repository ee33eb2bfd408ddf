"""Violations that axe-core finds in a report, as opened and unfolded, in light and in dark.

    .venv/bin/python -m tests.benchmarks.accessibility PAGE.html --axe …/axe.min.js

The script axe.min.js comes with the packages axe-playwright-python (PyPI) and axe-core (npm).
"""

import argparse
import json
from pathlib import Path

from tests.benchmarks.page_speed import in_browser

THEMES = {"light": 1, "dark": 0}
"""Theme → Chromium's number of it."""
ASK = """
<pre id="axe"></pre><script>
const told = found => found.violations.map(v =>
  [v.id, v.nodes.length, v.nodes.slice(0, 3).map(n => n.target.join(" ") + ": " +
    n.failureSummary.replaceAll("\\n", " ").slice(0, 200))]);
addEventListener("load", async () => {
  const seen = {dark: matchMedia("(prefers-color-scheme: dark)").matches};
  seen.opened = told(await axe.run(document, {resultTypes: ["violations"]}));
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  await new Promise(done => setTimeout(done, 500));
  seen.unfolded = told(await axe.run(document, {resultTypes: ["violations"]}));
  document.getElementById("axe").textContent = JSON.stringify(seen);
});
</script>
"""


def violations(page: Path, axe: Path, theme: int) -> dict:
    """Return the violations by state: rule, number of elements, and what is wrong with three."""
    script = f"<script>{axe.read_text(encoding='utf-8')}</script>{ASK}"
    options = (f"--blink-settings=preferredColorScheme={theme}", "--virtual-time-budget=600000")
    return json.loads(in_browser(page, script, "axe", *options))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("--axe", type=Path, required=True)
    asked = parser.parse_args()
    for theme, number in THEMES.items():
        seen = violations(asked.page, asked.axe, number)
        if seen["dark"] != (theme == "dark"):
            raise SystemExit(f"Chromium did not show the page in {theme}")
        for state in ("opened", "unfolded"):
            print(f"{theme}, {state}: {len(seen[state])} violations", flush=True)
            for rule, count, examples in seen[state]:
                print(f"  {rule}, {count} elements", *examples, sep="\n    ")


if __name__ == "__main__":
    main()
