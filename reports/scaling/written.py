"""Write a table's fit to a file: a page, Markdown, JSON, or the picture alone.

written(fitted, Path("fit.html"))
"""

import io
import json
import re
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

import harness
from harness.errors import UserError, did_you_mean
from harness.store.user_files import refuse_file, write_over
from reports.charts.looks import DPI
from reports.charts.picture import picture
from reports.charts.svg import svg_file
from reports.scaling.blocks import Grid, Listing, as_markdown
from reports.scaling.drawing import draw
from reports.scaling.figures import as_figures
from reports.scaling.words import blocks
from reports.sections.section import fill, read_template

if TYPE_CHECKING:
    from reports.scaling.table_fit import TableFit

SUFFIXES = (".html", ".md", ".json", ".svg", ".png")


def refuse_name(output: Path) -> None:
    """Raise UserError for a file of another kind than those that can be written, and for a place
    where none can be."""
    refuse_file(output, "-o")
    if output.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"-o '{output}': must end with {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
            f"{did_you_mean(output.suffix, SUFFIXES)}"
        )


def written(fitted: "TableFit", output: Path) -> str:
    """Write the file that the name's suffix asks for, in one rename, and return its path. Raise
    UserError for another suffix, and for a file that cannot be written."""
    refuse_name(output)
    make = {".html": _page, ".md": _markdown, ".json": _json, ".svg": _svg, ".png": _png}
    content = make[output.suffix.lower()](fitted)
    write_over(output, content, "-o")
    return str(output)


def as_json(fitted: "TableFit") -> str:
    """Return everything that was found, as JSON."""
    return json.dumps(as_figures(fitted), indent=1, ensure_ascii=False, allow_nan=False)


def _title(fitted: "TableFit") -> str:
    return f"{fitted.form} fitted to {fitted.loaded.table}"


def _markdown(fitted: "TableFit") -> bytes:
    return as_markdown(_title(fitted), blocks(fitted)).encode()


def _json(fitted: "TableFit") -> bytes:
    return f"{as_json(fitted)}\n".encode()


def _svg(fitted: "TableFit") -> bytes:
    return svg_file(picture(draw(fitted).drawings[0]))


def _png(fitted: "TableFit") -> bytes:
    image = io.BytesIO()
    figure = picture(draw(fitted).drawings[0])
    figure.patch.set_visible(True)
    # Pictures are placed in pixels, so at another resolution they would not fill their frame.
    figure.savefig(image, format="png", dpi=DPI)
    return image.getvalue()


def _page(fitted: "TableFit") -> bytes:
    """Return one HTML file that asks the network for nothing: the opening sentences, the picture,
    and the rest."""
    said = blocks(fitted)
    opening = list(takewhile(lambda block: isinstance(block, str), said))
    parts = [
        {
            "paragraph": _unparted(block) if isinstance(block, str) else None,
            "grid": block if isinstance(block, Grid) else None,
            "title": block.title if isinstance(block, Listing) else None,
            "sentences": [_unparted(s) for s in block.sentences]
            if isinstance(block, Listing)
            else [],
        }
        for block in said[len(opening) :]
    ]
    html = fill(
        "fit.html.j2",
        title=_title(fitted),
        version=harness.__version__,
        written=f"{datetime.now(UTC):%-d %B %Y, %H:%M} UTC",
        rows=f"{fitted.loaded.rows:,} rows, {fitted.fit.cells:,} different points",
        opening=[_unparted(str(sentence)) for sentence in opening],
        parts=parts,
        figures={"fit": draw(fitted)},
        style=read_template("page.css"),
        chart_style=read_template("chart.css"),
    )
    return html.encode()


def _unparted(sentence: str) -> Markup:
    """Return a sentence in which no line parts an option of the command line, which is code, or a
    number from its per cent."""
    escaped = str(escape(sentence)).replace(" %", "\N{NO-BREAK SPACE}%")
    return Markup(re.sub(r"(?<!\S)--[a-z]+", r"<code>\g<0></code>", escaped))
