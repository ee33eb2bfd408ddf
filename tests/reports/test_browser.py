"""The report in a real browser, wide and narrow: charts are drawn (folded ones when opened), axes
can be chosen, and there is no error and no request.

Run alone: python -m pytest tests/reports/test_browser.py
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.command import make_report
from tests.reports.stores import failed, make_store, png, power_law

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; CI installs it"),
]

QUIET = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)

FRAME = """<body style="margin:0">
<iframe id="f" style="width:{width}px;height:3000px;border:0"></iframe><pre id="result"></pre>
<script>
const frame = document.getElementById("f"), wait = ms => new Promise(done => setTimeout(done, ms));
frame.onload = async () => {{
  await wait(2500);
  const d = frame.contentDocument, w = frame.contentWindow;
  const drawn = () =>
    [...d.querySelectorAll(".chart")].filter(c => c.querySelector(".main-svg")).length;
  const inside = ".scroll, pre, svg, .js-plotly-plot, script, details:not(.folded)";
  const tooWide = () => [...d.querySelectorAll("body *")].filter(e => !e.closest(inside)
    && e.getBoundingClientRect().right > {width} + 1).map(e => e.outerHTML.slice(0, 80));
  const initial = {{first: drawn(), points: d.querySelectorAll(".point").length, wide: tooWide()}};
  for (const folded of d.querySelectorAll("details")) folded.open = true;
  await wait(2500);
  const folded_charts = [...d.querySelectorAll(".folded .chart .main-svg")];
  const shown = folded_charts.map(e => e.getBoundingClientRect().width);
  const select = d.querySelector("#choice-law select"), law = d.getElementById("chart-law");
  const before = [law.data[0].x[0], law.layout.xaxis.title.text];
  select.value = "2";
  select.dispatchEvent(new Event("change"));
  await wait(500);
  const after = [law.data[0].x[0], law.layout.xaxis.title.text];
  const hover = law.data[0].customdata[0].length;
  const loaded = w.performance.getEntriesByType("resource").map(r => r.name);
  const requests = loaded.filter(n => !n.startsWith("data:") && !n.startsWith("blob:"));
  const images = [...d.images].map(i => i.naturalWidth), scroll = d.scrollingElement.scrollWidth;
  const buttons = [...d.querySelectorAll(".modebar-btn")].map(b => b.dataset.title);
  document.getElementById("result").textContent = JSON.stringify({{...initial, scroll,
    drawn: drawn(), shown, images, opened: tooWide(), before, after, hover, requests, buttons}});
}};
frame.src = "{source}";
</script>"""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    rows = power_law(0.3, 0.2, 0.1, spread=0.05, ns=(100, 200, 400), ds=(8, 16)) + [failed(p=7)]
    rows[0] |= {"pictures_file": f"_pictures/{rows[0]['trial_id']}.png", "n": 500}
    rows[0]["pictures"] = [
        {
            "label": "4",
            "before": "4",
            "after": "an answer of many words without end" * 3,
            "distance": 0.1,
        }
    ]

    store = make_store(folder / "store", rows)
    (store / "_pictures").mkdir()
    (store / rows[0]["pictures_file"]).write_bytes(png(264, 84))
    make_report([str(store)], folder / "report.html")
    return folder / "report.html"


@pytest.mark.parametrize("width", [1400, 400])
def test_the_report_opens(report, tmp_path, width):
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width, source=report.as_uri()))
    command = [
        str(CHROMIUM),
        *QUIET.split(),
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]

    command += [
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--virtual-time-budget=20000",
        f"--window-size={max(width, 500)},3000",
        "--dump-dom",
    ]

    done = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, timeout=120)
    result = re.search(r'<pre id="result">(.+?)</pre>', done.stdout, re.S)
    assert result is not None, done.stderr[-2000:]

    seen = json.loads(html.unescape(result[1]))
    assert seen["first"] == 7 and seen["points"] > 72
    assert (
        seen["drawn"] == 14
        and len(seen["shown"]) >= 7
        and min(seen["shown"]) > 0.7 * min(width, 1080)
    )
    assert seen["scroll"] <= width and seen["wide"] == [] and seen["opened"] == []
    assert seen["images"] == [264] and seen["hover"] == 4
    assert (
        seen["after"][0] == pytest.approx(seen["before"][0] / 0.4)
        and "TwoNN" in seen["after"][1]
        and "ambient" in seen["before"][1]
    )
    assert seen["requests"] == []
    assert seen["buttons"] and not [b for b in seen["buttons"] if re.search("hare|loud|pload", b)]
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
