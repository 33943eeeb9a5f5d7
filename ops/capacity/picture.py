"""A drawing of what a million decisions costs, by service: SVG, the same bytes for the same figures."""

from collections.abc import Mapping
from html import escape

__all__ = ["bars"]

_WIDTH, _LEFT, _RIGHT, _BAR, _GAP, _TOP = 860, 150, 90, 34, 26, 40
_COLOURS = ("#1f6feb", "#d1605e", "#59a14f", "#e49444", "#8a63d2", "#4aa3a2", "#a0a0a0")
_SHOWN = len(_COLOURS) - 1
_FONT = "font-family='Helvetica, Arial, sans-serif'"


def bars(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Stacked bars, one for each row, with the largest parts named and the rest as one.

    Parameters
    ----------
    rows : mapping of a row's name to dollars by part
    """
    whole: dict[str, float] = {}
    for parts in rows.values():
        for name, value in parts.items():
            whole[name] = whole.get(name, 0.0) + value
    named = sorted(whole, key=lambda name: -whole[name])[:_SHOWN]
    scale = (_WIDTH - _LEFT - _RIGHT) / max(sum(parts.values()) for parts in rows.values())
    drawn = [_text(16, 24, title, size=16, weight="bold")]
    for number, (row, parts) in enumerate(rows.items()):
        top = _TOP + number * (_BAR + _GAP)
        drawn.append(_text(_LEFT - 10, top + _BAR * 0.65, row, anchor="end"))
        left = float(_LEFT)
        for name, colour in zip([*named, "the rest"], _COLOURS, strict=True):
            value = parts.get(name, 0.0)
            if name == "the rest":
                value = sum(value for each, value in parts.items() if each not in named)
            width = value * scale
            told = escape(f"{name}: {value:,.2f} dollars")
            drawn.append(
                f"<rect x='{left:.1f}' y='{top}' width='{width:.1f}' height='{_BAR}' fill='{colour}'>"
                f"<title>{told}</title></rect>"
            )
            if width > 46:
                drawn.append(
                    _text(left + width / 2, top + _BAR * 0.65, f"{value:,.1f}", anchor="middle", fill="#fff")
                )
            left += width
        drawn.append(_text(left + 8, top + _BAR * 0.65, f"${sum(parts.values()):,.0f}", weight="bold"))
    bottom = _TOP + len(rows) * (_BAR + _GAP)
    place = 16.0
    for name, colour in zip([*named, "the rest"], _COLOURS, strict=True):
        drawn.append(f"<rect x='{place:.1f}' y='{bottom}' width='12' height='12' fill='{colour}'/>")
        drawn.append(_text(place + 17, bottom + 11, name, size=12))
        place += 34 + 6.2 * len(name)
    height = bottom + 30
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {height}' role='img' "
        f"aria-label='{escape(title, quote=True)}'>\n<rect width='{_WIDTH}' height='{height}' fill='#fff'/>\n"
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _text(
    left: float,
    top: float,
    text: str,
    *,
    size: int = 13,
    anchor: str = "start",
    weight: str = "normal",
    fill: str = "#222",
) -> str:
    return (
        f"<text x='{left:.1f}' y='{top:.1f}' {_FONT} font-size='{size}' font-weight='{weight}' "
        f"text-anchor='{anchor}' fill='{fill}'>{escape(text)}</text>"
    )
