"""Draws a dashboard as CloudWatch lays it out: 24 columns of tiles, on one picture."""

import io
import itertools
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from matplotlib import dates, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ops.dashboards.data import Shown

__all__ = ["draw"]

_COLUMN, _ROW = 0.75, 0.62  # inches
_MARGIN, _HEAD = 0.25, 0.6
_INK, _MUTED, _LINE, _PAPER = "#1b2733", "#5b6b7b", "#dde3e9", "#f3f5f7"
_COLORS: Final = (
    "#1f77b4",
    "#e6862a",
    "#2a9d55",
    "#8e5bb5",
    "#c0392b",
    "#7a6a55",
    "#d572b0",
    "#6c7a89",
    "#a7a92c",
)
_STATES: Final = {
    "OK": ("#dff3e6", "#1d7a40"),
    "ALARM": ("#fbdedb", "#b3261e"),
    "INSUFFICIENT_DATA": ("#e9edf1", "#5b6b7b"),
    "MISSING": ("#e9edf1", "#5b6b7b"),
}
_STYLE: Final = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "text.parse_math": False,
    "axes.labelcolor": _MUTED,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}
_MOST_NAMED = 8


def draw(name: str, shown: Sequence[Shown], *, at: datetime, resolution: int = 84) -> bytes:
    """A PNG of a whole dashboard.

    Parameters
    ----------
    at
        When it was looked at, which is written into the head.
    resolution
        Dots per inch; a column is 0.75 inches wide.
    """
    rows = max((each.widget.y + each.widget.height for each in shown), default=1)
    width, height = 24 * _COLUMN + 2 * _MARGIN, rows * _ROW + 2 * _MARGIN + _HEAD
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(width, height), facecolor=_PAPER)
        figure.text(_MARGIN / width, 1 - (_MARGIN + 0.1) / height, name, size=13, weight="bold", va="top")
        figure.text(
            1 - _MARGIN / width, 1 - (_MARGIN + 0.15) / height, f"{at:%Y-%m-%d %H:%M} UTC", ha="right", va="top"
        )
        for each in shown:
            _tile(figure, each, width, height)
        stream = io.BytesIO()
        # Neither the program nor the moment belongs into the file.
        figure.savefig(stream, format="png", dpi=resolution, metadata={"Software": None})
    return stream.getvalue()


def _tile(figure: Figure, shown: Shown, width: float, height: float) -> None:
    """One widget on its paper, in inches from the upper left corner."""
    gap, widget = 0.05, shown.widget
    left = _MARGIN + widget.x * _COLUMN + gap
    top = _MARGIN + _HEAD + widget.y * _ROW + gap
    wide, high = widget.width * _COLUMN - 2 * gap, widget.height * _ROW - 2 * gap
    paper = FancyBboxPatch(
        (left / width, 1 - (top + high) / height),
        wide / width,
        high / height,
        boxstyle="square,pad=0",
        facecolor="white",
        edgecolor=_LINE,
        linewidth=0.8,
        transform=figure.transFigure,
        zorder=-1,
    )
    figure.add_artist(paper)
    title = "\n".join(textwrap.wrap(widget.title, int(wide / 0.085))[:2])
    figure.text((left + 0.12) / width, 1 - (top + 0.1) / height, title, size=8.5, weight="bold", va="top")
    head = 0.42 if widget.title else 0.1
    if widget.kind == "lines":
        inside = (left + 0.55, top + head, wide - 0.75, high - head - 0.3)
    else:
        inside = (left + 0.12, top + head, wide - 0.24, high - head - 0.1)
    axes = figure.add_axes(
        (inside[0] / width, 1 - (inside[1] + inside[3]) / height, inside[2] / width, inside[3] / height)
    )
    paint = {"lines": _lines, "figures": _figures, "alarms": _alarms, "text": _text}[widget.kind]
    paint(axes, shown)


def _lines(axes: Axes, shown: Shown) -> None:
    widget = shown.widget
    colors = itertools.cycle(_COLORS)
    stack: dict[float, float] = {}
    for number, (series, points) in enumerate(zip(shown.series, shown.points, strict=True)):
        color = series.color or next(colors)
        moments = [_days(at) for at, _ in points]
        values = [value for _, value in points]
        if widget.stacked:
            below = [stack.get(at, 0.0) for at in moments]
            values = [value + under for value, under in zip(values, below, strict=True)]
            stack |= dict(zip(moments, values, strict=True))
            axes.fill_between(moments, below, values, color=color, alpha=0.3, linewidth=0)
        label = series.label if number < _MOST_NAMED else "_"
        # A single point is easily overlooked.
        dots: dict[str, Any] = {"marker": "o", "markersize": 2.2 if len(points) > 1 else 4.5, "clip_on": False}
        axes.plot(moments, values, color=color, linewidth=1.3, label=label, **dots)
    for level in widget.levels:
        color = level.color or "#d62728"
        axes.axhline(level.value, color=color, linewidth=0.9, linestyle=(0, (4, 3)))
        told = level.label if f"{level.value:g}" in level.label else f"{level.label} {level.value:g}"
        axes.annotate(
            textwrap.shorten(told, widget.width * 9, placeholder=" ..."),
            (1, level.value),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            size=6.5,
            color=color,
            ha="right",
        )
    axes.set_xlim(_days(shown.start), _days(shown.end))
    axes.xaxis_date(UTC)
    locator = dates.AutoDateLocator(minticks=3, maxticks=5)  # type: ignore[no-untyped-call]  # it has no types
    axes.xaxis.set_major_locator(locator)
    formatter = dates.ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]  # it has no types
    axes.xaxis.set_major_formatter(formatter)
    low, high = axes.get_ylim()
    if not any(shown.points) and not widget.levels:
        high = 1.0
    axes.set_ylim(widget.least if widget.least is not None else low, widget.most or high * 1.08)
    axes.set_ylabel(widget.unit, size=6.5)
    if not any(shown.points):
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center", color=_MUTED)
    elif shown.series:
        more = max(len(shown.series) - _MOST_NAMED, 0)
        axes.legend(
            loc="upper left",
            ncols=2 if widget.width >= 12 or len(shown.series) > 4 else 1,
            fontsize=6.3,
            borderaxespad=0,
            handlelength=1,
            labelspacing=0.25,
            columnspacing=0.9,
            title=f"and {more} more" if more else None,
            title_fontsize=6.3,
            alignment="left",
        )


def _figures(axes: Axes, shown: Shown) -> None:
    axes.axis("off")
    for number, (series, points) in enumerate(zip(shown.series, shown.points, strict=True)):
        middle = (number + 0.5) / len(shown.series)
        text = f"{points[-1][1]:,.4g}" if points else "no data"
        size, color = (19, _INK) if points else (10, _MUTED)
        axes.text(middle, 0.55, text, size=size, color=color, ha="center", va="center", transform=axes.transAxes)
        axes.text(middle, 0.05, series.label, size=7, color=_MUTED, ha="center", transform=axes.transAxes)


def _alarms(axes: Axes, shown: Shown) -> None:
    axes.axis("off")
    columns = 6
    rows = max(-(-len(shown.states) // columns), 1)
    common = _common(list(shown.states))
    # What is on comes first, as people look for it.
    ordered = sorted(shown.states.items(), key=lambda each: (each[1] != "ALARM", each[0]))
    for number, (name, state) in enumerate(ordered):
        row, column = divmod(number, columns)
        back, ink = _STATES[state]
        corner = (column / columns + 0.003, 1 - (row + 1) / rows + 0.1 / rows)
        tile = FancyBboxPatch(
            corner,
            1 / columns - 0.006,
            0.8 / rows,
            boxstyle="square,pad=0",
            facecolor=back,
            linewidth=0,
            transform=axes.transAxes,
        )
        axes.add_patch(tile)
        axes.text(
            corner[0] + 0.004,
            corner[1] + 0.4 / rows,
            f"{'! ' if state == 'ALARM' else ''}{name[common:]}",
            size=6.6,
            color=ink,
            weight="bold" if state == "ALARM" else "normal",
            va="center",
            transform=axes.transAxes,
        )


def _common(names: Sequence[str]) -> int:
    """How many characters all names begin with, up to a hyphen."""
    if len(names) < 2:
        return 0
    low, high = min(names), max(names)
    same = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:same].rfind("-") + 1


def _text(axes: Axes, shown: Shown) -> None:
    axes.axis("off")
    wrapped = [
        line for raw in shown.widget.text.splitlines() for line in textwrap.wrap(raw.strip("# "), 110) or [""]
    ]
    axes.text(0, 1, "\n".join(wrapped), va="top", transform=axes.transAxes)


def _days(at: datetime) -> float:
    """A moment on an axis of time: matplotlib counts days since 1970."""
    return at.timestamp() / 86_400
