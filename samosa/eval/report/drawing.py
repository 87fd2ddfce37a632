"""From a matplotlib figure to an SVG inside the page: the page's own colours, light and dark, and the same bytes again.

matplotlib knows no style sheet, so figures are drawn in a few odd colours that stand for the page's, and these take
their places afterwards. Text stays text: it can be read aloud, searched for and copied.
"""

import contextlib
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, DIM, LINE, BACK = "#010101", "#020202", "#030303", "#040404"
BLUE, ORANGE, PURPLE, GREY = "#050505", "#060606", "#070707", "#080808"
PLACES = {
    INK: "--text",
    DIM: "--dim",
    LINE: "--line",
    BACK: "--back",
    BLUE: "--blue",
    ORANGE: "--orange",
    PURPLE: "--purple",
    GREY: "--grey",
}
"""Each stand-in and the colour of the page's style sheet that it becomes."""
WIDTH = 400  # of every figure, in its own units: about what a phone and half a screen have
BELOW = 40
SETTINGS: Any = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so measures are the same everywhere
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign is a dollar sign
    "axes.edgecolor": LINE,
    "axes.labelcolor": DIM,
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.formatter.useoffset": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "xtick.labelcolor": DIM,
    "ytick.color": LINE,
    "ytick.labelcolor": DIM,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "lines.linewidth": 1.8,
    "path.simplify": False,
}


@contextlib.contextmanager
def figure(height: float, *, left: float, right: float = 10, top: float = 8) -> Iterator[tuple["Figure", "Axes"]]:
    """A figure of WIDTH x `height` and the axes in it, whatever a person's matplotlibrc says.

    left, right, top: the space around the axes, in the figure's units; below them is room for ticks and a label. Fixed,
    for a layout that matplotlib finds by itself takes longer than all the drawing.
    """
    import matplotlib  # 0.9 s, so not before something is drawn
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        made = Figure(figsize=(WIDTH / 72, height / 72))
        across, up = (WIDTH - left - right) / WIDTH, (height - top - BELOW) / height
        yield made, made.add_axes((left / WIDTH, BELOW / height, across, up))


def svg(drawn: "Figure", name: str, *, title: str, about: str) -> Markup:
    """The figure as an SVG element; call it inside `figure`.

    name: of letters, digits and dashes, unique on the page: it keeps ids apart. title and about are read to those who
    cannot see it.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    matplotlib.rcParams["svg.hashsalt"] = name
    out = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    FigureCanvasSVG(drawn).print_svg(out, metadata=nothing)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font: ([0-9.]+px) [^;\"]*", r"font-size: \1", text)  # the page's own letters
    for stand_in, place in PLACES.items():
        text = text.replace(stand_in, f"var({place})")
    head = (
        f'<svg role="img" aria-labelledby="{name}-title {name}-about" viewBox="0 0 {WIDTH} {_height(text)}">\n'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-about">{escape(about)}</desc>'
    )
    body = re.sub(r"\n\s*(?=\n)", "", text[text.index(">") + 1 :])
    return Markup(head + body.rstrip())


def _height(text: str) -> str:
    found = re.search(r'viewBox="0 0 [0-9.]+ ([0-9.]+)"', text)
    assert found is not None, "matplotlib's SVG has a viewBox"
    return found[1]
