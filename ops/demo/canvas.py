"""Drawings that fit into a page: SVG without colours, fonts, dates or addresses of their own."""

import io
import re
from collections.abc import Callable
from typing import Final
from xml.etree import ElementTree

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ops.markup import Markup

__all__ = ["AMBER", "BLUE", "GREEN", "GREY", "GRID", "INK", "MUTED", "RED", "SKY", "draw", "log_axis"]

# Stand-ins for the page's colours: matplotlib wants numbers, but what they look like is up to the style
# sheet, which knows whether the page is light or dark.
INK: Final = "#01f001"
MUTED: Final = "#01f002"
GRID: Final = "#01f003"
BLUE: Final = "#01f004"
RED: Final = "#01f005"
AMBER: Final = "#01f006"
GREEN: Final = "#01f007"
SKY: Final = "#01f008"
GREY: Final = "#01f009"

_NAMES: Final = {
    INK: "ink",
    MUTED: "muted",
    GRID: "line",
    BLUE: "blue",
    RED: "red",
    AMBER: "amber",
    GREEN: "green",
    SKY: "sky",
    GREY: "grey",
}
_STAND_IN: Final = re.compile("|".join(_NAMES))
_STYLE: Final = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 11.5,
    "axes.labelsize": 11.5,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def draw(name: str, label: str, size: tuple[int, int], paint: Callable[[Figure], None]) -> Markup:
    """An inline SVG.

    Parameters
    ----------
    name : str
        Different for each drawing of a page: it keeps their ids apart.
    label : str
        What is to be seen, for those who cannot see it.
    size : (int, int)
        Width and height in CSS pixels.
    paint : callable
        Fills the figure.
    """
    stream = io.StringIO()
    with style.context(["default", {**_STYLE, "svg.hashsalt": name}]):
        drawing = Figure(figsize=(size[0] / 72, size[1] / 72), layout="constrained")
        paint(drawing)
        drawing.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    root = ElementTree.fromstring(stream.getvalue())  # noqa: S314 - what savefig wrote above
    _clean(root, name)
    root.attrib = {
        "viewBox": f"0 0 {size[0]} {size[1]}",
        "width": str(size[0]),
        "height": str(size[1]),
        "role": "img",
        "aria-label": label,
    }
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def log_axis(axes: Axes, low: float, high: float, unit: str) -> None:
    """A logarithmic x axis with plain numbers."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.minorticks_off()
    marks = [
        mark * 10.0**power for power in range(-3, 7) for mark in (1, 2, 5) if low <= mark * 10.0**power <= high
    ]
    if len(marks) > 10:
        marks = [mark for mark in marks if f"{mark:e}".startswith("1")]
    axes.set_xticks(marks, [f"{mark:,.6g}" for mark in marks])
    axes.set_xlabel(unit)


def _clean(root: ElementTree.Element, name: str) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            # A style sheet within an SVG would reach the whole page; metadata carries addresses.
            if child.tag.endswith(("}style", "}metadata")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        element.attrib = {key.rpartition("}")[2]: _value(key, text, name) for key, text in element.items()}


def _value(key: str, text: str, name: str) -> str:
    if key == "id":
        return f"{name}-{text}"
    if key.endswith("href"):
        return text.replace("#", f"#{name}-", 1)
    if key == "style":
        text = re.sub(r"'DejaVu Sans'[^;]*", "var(--sans)", text)
        text = _STAND_IN.sub(lambda found: f"var(--{_NAMES[found[0]]})", text)
    return text.replace("url(#", f"url(#{name}-")
