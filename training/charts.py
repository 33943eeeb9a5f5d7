"""Plots with two axes, as inline SVG: lines, points with intervals, and ranges on a common scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from training.drawing import svg, text

__all__ = ["Series", "dots", "lines", "ranges"]

_WIDTH, _HEIGHT = 460, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 24, 10, 44

type Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or points.

    Attributes
    ----------
    kind : str
        The class that colours it.
    reaches : sequence of (low, high), optional
        An upright interval at each point.
    joined : bool
        Whether a line goes through the points; else they are dots.
    """

    kind: str
    points: Sequence[Point]
    reaches: Sequence[Point] = ()
    joined: bool = True


def lines(
    label: str,
    series: Sequence[Series],
    *,
    x: tuple[str, float, float],
    y: tuple[str, float, float],
    shares: bool = True,
    names: Sequence[str] = (),
) -> str:
    """Lines and points in one frame.

    Parameters
    ----------
    label : str
        What is to be seen, for those who cannot see it.
    x, y : (title, lowest, highest)
    shares : bool
        Ticks are percentages.
    names : sequence of str
        Instead of ticks: names of the whole numbers along x, from 0 up.
    """

    def across(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (value - x[1]) / ((x[2] - x[1]) or 1.0)

    def up(value: float) -> float:
        inside = min(max(value, y[1]), y[2])
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (inside - y[1]) / ((y[2] - y[1]) or 1.0)

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = y[1] + share * (y[2] - y[1])
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{up(value):.1f}" y2="{up(value):.1f}"/>'
        )
        parts.append(text(_LEFT - 7, up(value) + 4, _tick(value, shares), "value", "end"))
        if not names:
            value = x[1] + share * (x[2] - x[1])
            parts.append(text(across(value), _HEIGHT - _BOTTOM + 18, _tick(value, shares), "value", "middle"))
    every = -(-len(names) // 6) if names else 1
    for place, name in list(enumerate(names))[::every]:
        anchor = "start" if place == 0 else "end" if place == len(names) - 1 else "middle"
        parts.append(text(across(place), _HEIGHT - _BOTTOM + 18, name, "value", anchor))
    parts.append(text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, x[0], "value", "middle"))
    for each in series:
        placed = [(across(a), up(b)) for a, b in each.points]
        for (a, _), (low, high) in zip(placed, each.reaches, strict=False):
            parts.append(
                f'<line class="reach {each.kind}" x1="{a:.1f}" x2="{a:.1f}" '
                f'y1="{up(low):.1f}" y2="{up(high):.1f}"/>'
            )
        if each.joined:
            path = " ".join(f"{a:.1f},{b:.1f}" for a, b in placed)
            parts.append(f'<polyline class="line {each.kind}" points="{path}"/>')
        if not each.joined or each.reaches or names:
            parts += [f'<circle class="{each.kind}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"/>' for a, b in placed]
    return svg(label, _WIDTH, _HEIGHT, parts)


def ranges(
    label: str, rows: Sequence[tuple[str, float | None, tuple[float, float] | None, str]], *, mark: str, names: int
) -> str:
    """A point with its interval for each name, around a line at 0.

    Parameters
    ----------
    rows : sequence of (name, value, interval, text at the end)
        Without a value nothing is drawn.
    mark : str
        What the line at 0 means.
    names : int
        Width of the names, in CSS pixels.
    """
    width, ends, step = 1_000, 240, 24
    told = [abs(end) for _, value, reach, _ in rows if value is not None for end in (value, *(reach or ()))]
    furthest = max(told, default=0.0) or 1.0
    middle, half = (names + width - ends) / 2, (width - ends - names) / 2 - 8
    height = 24 + step * len(rows)
    parts = [
        text(middle, 12, mark, "value", "middle"),
        f'<line class="mark" x1="{middle:.1f}" x2="{middle:.1f}" y1="18" y2="{height}"/>',
    ]
    for number, (name, value, reach, words) in enumerate(rows):
        y = 24 + number * step + 8
        parts.append(text(names - 10, y + 5, name, "name", "end"))
        parts.append(text(width - 2, y + 5, words, "value", "end"))
        if value is None:
            continue
        kind = "one" if value >= 0 else "two"
        if reach is not None:
            low, high = (middle + half * end / furthest for end in reach)
            parts.append(f'<line class="reach {kind}" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="{kind}" cx="{middle + half * value / furthest:.1f}" cy="{y}" r="4.5"/>')
    return svg(label, width, height, parts)


def dots(label: str, rows: Sequence[tuple[str, Sequence[float], str]], *, names: int, mark: str) -> str:
    """Values around a line at 0, from pale for the first of a row to strong for its last.

    Parameters
    ----------
    rows : sequence of (name, values, tip)
        The tip is shown under the pointer.
    """
    width, step = 1_000, 24
    furthest = max((abs(value) for _, values, _ in rows for value in values), default=0.0) or 1.0
    middle, half = (names + width) / 2, (width - names) / 2 - 10
    height = 24 + step * len(rows)
    parts = [
        text(middle, 12, mark, "value", "middle"),
        f'<line class="mark" x1="{middle:.1f}" x2="{middle:.1f}" y1="18" y2="{height}"/>',
    ]
    for number, (name, values, tip) in enumerate(rows):
        y = 24 + number * step + 8
        parts.append(text(names - 10, y + 5, name, "name", "end"))
        parts.append(f'<line class="grid" x1="{names}" x2="{width}" y1="{y}" y2="{y}"/>')
        last = max(len(values) - 1, 1)
        for place, value in enumerate(values):
            parts.append(
                f'<circle class="high" fill-opacity="{0.15 + 0.85 * place / last:.2f}" '
                f'cx="{middle + half * value / furthest:.1f}" cy="{y}" r="5.5">'
                f"<title>{escape(tip)}</title></circle>"
            )
    return svg(label, width, height, parts)


def _tick(value: float, shares: bool) -> str:
    return f"{100 * value:.3g}%" if shares else f"{value:,.3g}"
