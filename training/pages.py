"""The parts that every report's page is made of: one file, light or dark as its reader has it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from training.drawing import STYLE

__all__ = ["PLOTS", "banner", "figures", "key", "moment", "page", "percent", "plots", "section", "table"]

PLOTS = """
:root { --one: #0072b2; --two: #d55e00; }
@media (prefers-color-scheme: dark) { :root { --one: #5aaee6; --two: #f0853c; } }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(400px, 1fr)); gap: 1rem 2.5rem; }
.plots figure { margin: 0; min-width: 0; } .plots svg { min-width: 0; width: 100%; }
figcaption { font-size: .9rem; margin-bottom: .4rem; } figcaption b { font-weight: 600; }
figcaption span { color: var(--muted); display: block; }
svg .one { fill: var(--one); } svg .two { fill: var(--two); }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .line.one, svg .reach.one { stroke: var(--one); } svg .line.two, svg .reach.two { stroke: var(--two); }
svg .reach { stroke-width: 1.5; } svg .line.two { stroke-dasharray: 7 4; }
svg .line.quiet { stroke: var(--muted); stroke-width: 1; stroke-dasharray: 3 3; }
svg .low { fill: var(--muted); fill-opacity: .45; } svg .high { fill: var(--two); }
.key .one { background: var(--one); } .key .two { background: var(--two); }
.key .low { background: var(--muted); opacity: .45; } .key .high { background: var(--two); }
td.words, th.words { text-align: left; white-space: normal; }
.yes { color: var(--good); font-weight: 600; } .no { color: var(--bad); font-weight: 600; }
h3 { font-size: 1rem; font-weight: 600; margin: 1.4rem 0 .2rem; }
"""
"""What the style of `training.drawing` gains where models are drawn: `one` the candidate, `two` the champion."""


def page(title: str, sections: Sequence[str]) -> str:
    """The whole document."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{PLOTS}</style>\n</head>\n<body>\n<main>"
        f"{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def banner(title: str, words: str, where: str, *, good: bool) -> str:
    """The verdict: what a reader who reads nothing else has to know."""
    return (
        f'<div class="banner{"" if good else " bad"}"><h1>{escape(title)}</h1><p>{escape(words)}</p>'
        f'<p class="quiet">{escape(where)}</p></div>'
    )


def figures(told: Sequence[tuple[str, str]]) -> str:
    """Some numbers in large print, each with what it is."""
    entries = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in told)
    return f"<dl>{''.join(entries)}</dl>"


def section(title: str, words: str, content: str) -> str:
    paragraph = f'<p class="quiet">{escape(words)}</p>' if words else ""
    return f"<section><h2>{escape(title)}</h2>{paragraph}{content}</section>"


def plots(drawings: Sequence[tuple[str, str, str]]) -> str:
    """Drawings side by side: title, what to look for, and the drawing."""
    parts = (
        f"<figure><figcaption><b>{escape(title)}</b><span>{escape(words)}</span></figcaption>{drawing}</figure>"
        for title, words, drawing in drawings
    )
    return f'<div class="plots">{"".join(parts)}</div>'


def key(entries: Sequence[tuple[str, str]]) -> str:
    """What the colours mean: class and words."""
    items = (f'<li><i class="{kind}"></i>{escape(words)}</li>' for kind, words in entries)
    return f'<ul class="key">{"".join(items)}</ul>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: Sequence[int] = ()) -> str:
    """A table of texts; columns named in `words` hold sentences, and a cell that is `yes` or `no` is coloured."""

    def cell(tag: str, place: int, text: str) -> str:
        kinds = (["words"] if place in words else []) + ([text] if text in ("yes", "no") else [])
        kind = f' class="{" ".join(kinds)}"' if kinds else ""
        return f"<{tag}{kind}>{escape(text)}</{tag}>"

    top = "".join(cell("th", place, text) for place, text in enumerate(head))
    body = "".join(
        f"<tr>{''.join(cell('td', place, text) for place, text in enumerate(row))}</tr>" for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def moment(time: int) -> str:
    """Milliseconds as a reader takes them."""
    return f"{datetime.fromtimestamp(time / 1_000, UTC):%Y-%m-%d %H:%M} UTC"


def percent(share: float | None, digits: int = 1) -> str:
    """A share for reading; a dash where there is none."""
    return "–" if share is None else f"{100 * share:.{digits}f}%"
