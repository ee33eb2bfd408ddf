"""The report in a real browser, wide and narrow: charts show one drawing each and fit the page,
drawings and sentences can be chosen, marks answer the pointer and the keyboard, charts can be
saved, and there is no error and no request.

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
  const d = frame.contentDocument, w = frame.contentWindow;
  const inside = ".scroll, pre, svg, script, details:not(.folded)";
  const tooWide = () => [...d.querySelectorAll("body *")].filter(e => !e.closest(inside)
    && e.getBoundingClientRect().right > {width} + 1).map(e => e.outerHTML.slice(0, 80));
  const shown = () => [...d.querySelectorAll(".chart-figure:not(#chart-slopes) .variant svg")]
    .map(e => e.getBoundingClientRect().width).filter(width => width > 0);
  const figures = [...d.querySelectorAll(".chart-figure:not(#chart-slopes)")]
    .map(f => Boolean(f.closest(".folded")));
  const wide = tooWide();
  for (const folded of d.querySelectorAll("details")) folded.open = true;
  const opened = tooWide(), drawn = shown();

  const law = d.getElementById("chart-law"), title = () => [...law.querySelectorAll(".variant")]
    .filter(v => v.offsetWidth).map(v => v.querySelector("svg").getAttribute("aria-label"));
  const before = title();
  law.querySelectorAll("input")[2].click();
  const after = title();
  const chosen = [...d.querySelectorAll("[data-switch=d]:checked")].map(e => e.dataset.value);
  const address = w.location.hash;

  const answers = () => [...d.querySelectorAll(".answers p")].filter(p => p.offsetParent)
    .map(p => p.textContent);
  const forest = d.getElementById("chart-slopes");
  const said = [answers()];
  forest.querySelector("input[data-value=lipschitz]").click();
  said.push(answers(), w.location.hash);
  forest.querySelector("input[data-value=stability]").click();
  d.querySelector("input[data-switch=kind][data-value=other]").click();
  const pale = () => [...d.querySelectorAll("#chart-law .pale, #chart-slopes .pale")].length;
  said.push(answers(), pale());
  d.getElementById("kind-all").click();
  said.push(answers(), pale());

  const number = d.querySelector("dd data[tabindex='0']"), note = d.querySelector(".explanation");
  number.focus();
  const explained = [note.hidden, note.textContent];
  number.dispatchEvent(new w.KeyboardEvent("keydown", {{key: "ArrowRight", bubbles: true}}));
  explained.push(note.textContent);
  number.blur();

  d.getElementById("term-stability").closest("details").open = false;
  w.location.hash = "#term-stability";
  await wait(100);
  const unfolded = d.getElementById("term-stability").closest("details").open;

  const variant = [...law.querySelectorAll(".variant")].find(v => v.offsetWidth);
  const tip = d.querySelector(".chart-tip"), picked = law.querySelector(".picked");
  const press = key => variant.dispatchEvent(new w.KeyboardEvent("keydown", {{key}}));
  variant.focus();
  press("ArrowRight");
  const keyed = [tip.hidden, tip.textContent, d.querySelectorAll("use.near").length];
  press("ArrowRight");
  const next = tip.textContent;
  press("Enter");
  await wait(100);
  const copied = picked.textContent;
  press("Escape");
  const mark = variant.querySelector("[data-marks] use").getBoundingClientRect();
  const at = {{clientX: (mark.left + mark.right) / 2, clientY: (mark.top + mark.bottom) / 2}};
  const gone = tip.hidden;
  variant.querySelector("svg").dispatchEvent(new w.PointerEvent("pointermove", at));
  const hovered = [tip.hidden, tip.textContent];

  const saved = [];
  w.URL.createObjectURL = blob => {{ saved.push(blob.text()); return "#"; }};
  law.querySelector("[data-save=csv]").click();
  law.querySelector("[data-save=svg]").click();
  const tables = [...d.querySelectorAll(".scroll > table:not(.trials)")];
  const buttons = [...d.querySelectorAll("[data-table]")];
  for (const button of buttons) button.click();
  const [csv, svg, ...ofTables] = await Promise.all(saved);
  const sizes = tables.map(table => table.rows.length);

  const loaded = w.performance.getEntriesByType("resource").map(r => r.name);
  const requests = loaded.filter(n => !n.startsWith("data:") && !n.startsWith("blob:"));
  const images = [...d.images].map(i => i.naturalWidth), scroll = d.scrollingElement.scrollWidth;
  document.getElementById("result").textContent = JSON.stringify({{wide, figures, opened, drawn,
    scroll, before, after, chosen, address, said, explained, unfolded,
    keyed, next, copied, gone, hovered, csv, svg, ofTables, sizes, requests, images}});
}};
frame.src = "{source}";
</script>"""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    rows = power_law(0.3, 0.2, 0.1, spread=0.05, ns=(100, 200, 400), ds=(8, 16)) + [failed(p=7)]
    rows += power_law(0.2, spread=0.05, ns=(100, 200, 400), changes={"family": "other"})
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
    # one drawing of every chart, in folds or not, each inside the page
    assert len(seen["drawn"]) == len(seen["figures"]) == 14 and seen["figures"].count(True) == 6
    assert min(seen["drawn"]) > 0.7 * min(width, 720) and max(seen["drawn"]) <= 720
    assert seen["scroll"] <= width and seen["wide"] == [] and seen["opened"] == []
    assert seen["images"] == [264]

    (before,), (after,) = seen["before"], seen["after"]
    assert "ambient" in before and "TwoNN" in after
    assert len(seen["chosen"]) > 1 and set(seen["chosen"]) == {"twonn"}
    assert seen["address"] == "#&d=twonn" and seen["unfolded"]
    stood, lipschitz, chosen, other, pale, again, none_pale = seen["said"]
    assert len(stood) == 2 and again == stood and all("more robust" in text for text in stood)
    assert len(lipschitz) == 2 and all("Lipschitz constant" in text for text in lipschitz)
    assert "slope=lipschitz" in chosen and "d=twonn" in chosen
    (text,) = other
    assert pale > 1 and none_pale == 0
    assert "network of the family other" in text and "trials on" in text
    assert not seen["explained"][0] and len(set(seen["explained"][1:])) == 2

    hidden, told, near = seen["keyed"]
    assert not hidden and near == 1 and seen["next"] != told and seen["gone"]
    assert "trial " in told and "stability S, data units" in told
    assert "unilaw run " in seen["copied"] and " --trial " in seen["copied"]
    assert not seen["hovered"][0] and "trial " in seen["hovered"][1]

    header, *lines = seen["csv"].split("\r\n")[:-1]
    assert header == (
        'series,filled,"p / (n·d), d by TwoNN","stability S, data units (upper estimate)",trial'
    )
    assert len(lines) == 108 and all(line.count(",") >= 4 for line in lines)
    assert seen["svg"].startswith("<svg") and "var(" not in seen["svg"]
    assert [text.count("\r\n") for text in seen["ofTables"]] == seen["sizes"] and seen["sizes"]
    assert seen["requests"] == []
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
