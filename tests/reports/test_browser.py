"""The report in a real browser, wide and narrow: charts drawn, nothing wider than the page, no error, no request."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.page import write_report
from tests.reports.stores import failed, make_store, power_law

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; CI installs it")

QUIET = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"

FRAME = """<body style="margin:0"><iframe id="f" style="width:{width}px;height:3000px;border:0"></iframe><pre id="said"></pre><script>
const frame = document.getElementById("f"), errors = [];
frame.onload = () => setTimeout(() => {{
  const d = frame.contentDocument, w = frame.contentWindow;
  const wide = [...d.querySelectorAll("body *")].filter(e => !e.closest(".scroll, pre, svg, .js-plotly-plot, script, details")
    && e.getBoundingClientRect().right > {width} + 1).map(e => e.outerHTML.slice(0, 80));
  document.getElementById("said").textContent = JSON.stringify({{
    scroll: d.scrollingElement.scrollWidth, points: d.querySelectorAll(".point").length,
    drawn: [...d.querySelectorAll(".chart")].filter(c => c.querySelector(".main-svg")).length, wide, requests:
    w.performance.getEntriesByType("resource").map(r => r.name).filter(n => !n.startsWith("data:") && !n.startsWith("blob:"))}});
}}, 2500);
frame.src = "{source}";
</script>"""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    store = make_store(folder / "store", power_law(0.3, 0.2, 0.1, spread=0.05, ns=(100, 200, 400), ds=(8, 16)) + [failed(p=7)])
    write_report(store, folder / "report.html")
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
        "--virtual-time-budget=15000",
        f"--window-size={max(width, 500)},3000",
        "--dump-dom",
    ]
    done = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, timeout=120)
    said = re.search(r'<pre id="said">(.+?)</pre>', done.stdout, re.S)
    assert said is not None, done.stderr[-2000:]
    seen = json.loads(html.unescape(said[1]))
    assert seen["drawn"] == 5 and seen["points"] > 72
    assert seen["scroll"] <= width and seen["wide"] == []
    assert seen["requests"] == []
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
