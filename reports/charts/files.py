"""Write charts as files for papers, SVG and PDF.

figures(charts_by_key(sections), Path("figures"))
"""

from collections.abc import Mapping
from pathlib import Path

import matplotlib

from harness.errors import UserError
from reports.charts.chart import Chart
from reports.charts.picture import picture
from reports.charts.svg import svg_file


def figures(charts: Mapping[str, Chart], folder: Path) -> list[Path]:
    """Write each drawing as KEY.svg and KEY.pdf, as KEY-VALUE.svg and .pdf where a chart has
    several, and return the files. The same rows give the same bytes.

    Raise UserError when the folder cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for key, chart in charts.items():
            for drawing in chart.drawings:
                several = len(chart.drawings) > 1
                stem = folder / (f"{key}-{drawing.value}" if several else key)
                figure = picture(drawing)
                svg, pdf = stem.with_suffix(".svg"), stem.with_suffix(".pdf")
                svg.write_bytes(svg_file(figure))
                with matplotlib.rc_context({"pdf.fonttype": 42}):
                    figure.savefig(pdf, metadata={"CreationDate": None})
                written += [svg, pdf]
    except OSError as e:
        raise UserError(f"the figures cannot be written to '{folder}': {e.strerror}") from None
    return written
