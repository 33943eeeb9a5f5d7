"""Plain drawings for pages: inline SVG whose colours and fonts are the page's own."""

from collections.abc import Sequence
from html import escape

__all__ = ["STYLE", "bars", "columns", "svg", "text"]

type Piece = tuple[float, str]
"""A length and the class that colours it."""

STYLE = """
:root { color-scheme: light dark; --sans: system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif;
  --paper: #fdfdfc; --ink: #1c2126; --muted: #626b73; --line: #dfe1e0;
  --lag: #0072b2; --wrong: #d55e00; --good: #00805f; --bad: #c24e00; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181b; --ink: #e6e8e9; --muted: #9aa4ac; --line: #343b41;
  --lag: #5aaee6; --wrong: #f0853c; --good: #2fc49a; --bad: #f0853c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 var(--sans); }
main { max-width: 1064px; margin: 0 auto; padding: 2.5rem 2rem 4rem; }
h1 { font-size: 1.8rem; line-height: 1.25; font-weight: 650; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; font-weight: 650; margin: 0 0 .3rem; }
section { border-top: 1px solid var(--line); margin-top: 2.2rem; padding-top: 1.5rem; }
p, li { max-width: 46rem; }
p { margin: .3rem 0 .9rem; }
.quiet { color: var(--muted); }
.banner { border-left: 5px solid var(--good); padding-left: 1.3rem; }
.banner.bad { border-color: var(--bad); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 1.2rem 1.6rem;
  margin: 1.8rem 0 0; }
dl div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
dt { color: var(--muted); font-size: .875rem; line-height: 1.35; }
dd { margin: 0; font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
svg { display: block; max-width: 100%; min-width: 640px; height: auto; font: 13px var(--sans); }
svg text { fill: var(--ink); } svg .value { fill: var(--muted); }
svg .lag { fill: var(--lag); } svg .wrong { fill: var(--wrong); }
svg .grid { stroke: var(--line); } svg .mark { stroke: var(--ink); stroke-dasharray: 4 3; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; list-style: none; padding: 0; font-size: .9rem; }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .45em; }
.key .lag { background: var(--lag); } .key .wrong { background: var(--wrong); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem 0 .3rem 1.1rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { color: var(--muted); font-weight: 500; }
summary { cursor: pointer; color: var(--lag); margin: .8rem 0; }
@media print { main { max-width: none; padding: 0; } section { break-inside: avoid; } }
"""
"""The look of a page and of the drawings on it: `lag` and `wrong` are the classes that colour a piece."""

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
    for number, (name, pieces, words) in enumerate(rows):
        y = top + number * _ROW
        parts.append(text(names - 10, y + _TEXT, name, "name", "end"))
        x = float(names)
        for size, kind in pieces:
            if size:
                length = max(size * scale, 1.0)
                parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y + 3}" width="{length:.1f}" height="15"/>')
                x += length
        parts.append(text(width - 2, y + _TEXT, words, "value", "end"))
    height = top + len(rows) * _ROW + 4
    if mark:
        x = names + mark[0] * scale
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="16" y2="{height}"/>')
        parts.append(text(x, 11, mark[1], "value", "middle"))
    return svg(label, width, height, parts)


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
        parts.append(text(left - 8, y + 4, f"{100 * top * portion:g}%", "value", "end"))
    every = -(-len(values) // 12)
    for number, (name, share, tip) in enumerate(values):
        x, tall = left + number * step, inner * share / top
        gap = min(step * 0.2, 6)
        parts.append(
            f'<rect class="{kind}" x="{x + gap / 2:.1f}" y="{8 + inner - tall:.1f}" width="{step - gap:.1f}" '
            f'height="{max(tall, 0.5):.1f}"><title>{escape(tip)}</title></rect>'
        )
        if number % every == 0:
            parts.append(text(x + step / 2, height - 8, name, "value", "middle"))
    return svg(label, width, height, parts)


def text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    """Words at a place."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def svg(label: str, width: int, height: int, parts: Sequence[str]) -> str:
    """The drawing that the parts make."""
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
