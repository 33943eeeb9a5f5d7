"""Plain drawings for pages: inline SVG whose colours and fonts are the page's own."""

from collections.abc import Sequence
from html import escape

__all__ = ["bars", "columns"]

type Piece = tuple[float, str]
"""A length and the class that colours it."""

_ROW = 22
_TEXT = 15


def bars(
    label: str,
    rows: Sequence[tuple[str, Sequence[Piece], str]],
    *,
    names: int,
    mark: tuple[float, str] | None = None,
) -> str:
    """Horizontal bars, each of some pieces end to end.

    Parameters
    ----------
    label : str
        What is to be seen, for those who cannot see it.
    rows : sequence of (name, pieces, text at the end)
    names : int
        Width of the names, in CSS pixels.
    mark : (length, text), optional
        A line across all bars.
    """
    width, ends = 1_000, 190
    lengths = [sum(size for size, _ in pieces) for _, pieces, _ in rows]
    longest = max([*lengths, mark[0] if mark else 0.0])
    scale = (width - names - ends) / (longest or 1.0)
    top = 22 if mark else 4
    parts = []
    for number, (name, pieces, text) in enumerate(rows):
        y = top + number * _ROW
        parts.append(_text(names - 10, y + _TEXT, name, "name", "end"))
        x = float(names)
        for size, kind in pieces:
            if size:
                length = max(size * scale, 1.0)
                parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y + 3}" width="{length:.1f}" height="15"/>')
                x += length
        parts.append(_text(width - 2, y + _TEXT, text, "value", "end"))
    height = top + len(rows) * _ROW + 4
    if mark:
        x = names + mark[0] * scale
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="16" y2="{height}"/>')
        parts.append(_text(x, 11, mark[1], "value", "middle"))
    return _svg(label, width, height, parts)


def columns(label: str, values: Sequence[tuple[str, float, str]], kind: str) -> str:
    """Upright bars of shares between 0 and 1.

    Parameters
    ----------
    values : sequence of (name, share, tip)
        The tip is shown under the pointer.
    kind : str
        The class that colours them.
    """
    width, height, left, bottom = 1_000, 220, 52, 28
    inner = height - bottom - 8
    step = (width - left) / len(values)
    top = next(each for each in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if max(v for _, v, _ in values) <= each)
    parts = []
    for portion in (0.0, 0.5, 1.0):
        y = 8 + inner * (1 - portion)
        parts.append(f'<line class="grid" x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(left - 8, y + 4, f"{100 * top * portion:g}%", "value", "end"))
    every = -(-len(values) // 12)
    for number, (name, share, tip) in enumerate(values):
        x, tall = left + number * step, inner * share / top
        gap = min(step * 0.2, 6)
        parts.append(
            f'<rect class="{kind}" x="{x + gap / 2:.1f}" y="{8 + inner - tall:.1f}" width="{step - gap:.1f}" '
            f'height="{max(tall, 0.5):.1f}"><title>{escape(tip)}</title></rect>'
        )
        if number % every == 0:
            parts.append(_text(x + step / 2, height - 8, name, "value", "middle"))
    return _svg(label, width, height, parts)


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(label: str, width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
