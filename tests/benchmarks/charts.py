"""Time the drawing of every chart of a store's page, and weigh the SVG.

    python -m tests.benchmarks.charts STORE

Prints the number of drawings, the CPU seconds that drawing them takes, and their size.
"""

import sys
import time

from reports.charts.inline import inline
from reports.charts.page_data import chart_data
from reports.evidence import read_evidence
from reports.law import fit_all
from reports.page import charts_by_key
from reports.sections import all_sections
from reports.sections.section import as_json


def main(store: str) -> None:
    evidence = read_evidence(store)
    charts = charts_by_key(all_sections(evidence, fit_all(evidence.trials)))

    began = time.process_time()
    drawings = [drawing for key, chart in charts.items() for drawing in inline(chart, key)]
    seconds = time.process_time() - began

    size = sum(len(drawing.svg.encode()) for drawing in drawings)
    data = len(as_json(chart_data(charts)).encode())
    print(f"{len(charts)} charts, {len(drawings)} drawings: {seconds:.1f} s of one core")
    print(f"SVG {size / 1e6:.2f} MB, the figures behind them {data / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1])
