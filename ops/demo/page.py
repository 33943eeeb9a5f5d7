"""The page around the sections: one file, its style within, nothing fetched from anywhere."""

from typing import Final

from ops.markup import Markup, join, tag

__all__ = ["page", "section"]

# Okabe and Ito's palette, which people with any colour vision can tell apart; lighter where the page is dark.
_STYLE: Final = """
:root { color-scheme: light dark;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --paper: #fdfdfc; --raised: #f4f4f1; --ink: #1c2126; --muted: #626b73; --line: #dfe1e0; --grey: #9fa8af;
  --blue: #0072b2; --red: #d55e00; --amber: #d69400; --green: #009e73; --sky: #56b4e9; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #15181b; --raised: #1e2327; --ink: #e6e8e9; --muted: #9aa4ac; --line: #343b41; --grey: #717c85;
  --blue: #5aaee6; --red: #f0853c; --amber: #e8b640; --green: #2fc49a; --sky: #a5d8f7; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 var(--sans); }
main { max-width: 1064px; margin: 0 auto; padding: 2.5rem 2rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; font-weight: 650; margin: .35rem 0 .6rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; line-height: 1.3; font-weight: 650; margin: 0 0 .4rem; }
h3 { font-size: 1rem; font-weight: 650; margin: 1.4rem 0 .5rem; }
p { max-width: 46rem; margin: .4rem 0 .8rem; }
section { border-top: 1px solid var(--line); margin-top: 2.4rem; padding-top: 1.7rem; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.quiet { color: var(--muted); }
.small { font-size: .875rem; }
.good { color: var(--green); }
.bad { color: var(--red); }
.banner { border-left: 5px solid var(--green); padding-left: 1.3rem; }
.banner.failed { border-color: var(--red); }
.banner p { margin: 0; }
dl.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 1.3rem 1.6rem;
  margin: 1.9rem 0 0; }
dl.figures div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
dl.figures dt { color: var(--muted); font-size: .875rem; line-height: 1.35; }
dl.figures dd { margin: 0; font-size: 1.55rem; line-height: 1.3; font-weight: 600;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
ol.steps { list-style: none; margin: 1rem 0 0; padding: 0; }
ol.steps li { display: grid; grid-template-columns: 5.2rem 1fr 4.5rem; gap: 0 1rem; padding: .55rem 0;
  border-bottom: 1px solid var(--line); }
ol.steps li > span:last-child { text-align: right; font-variant-numeric: tabular-nums; color: var(--muted); }
ol.steps .mark { font-weight: 600; white-space: nowrap; }
ol.steps .detail { display: block; color: var(--muted); font-size: .9rem; overflow-wrap: anywhere; }
.lane { display: grid; grid-template-columns: 9.5rem 1fr; gap: .4rem 1rem; align-items: center; padding: .75rem 0;
  border-bottom: 1px solid var(--line); }
.lane h3 { margin: 0; line-height: 1.3; }
.lane ol { list-style: none; display: flex; flex-wrap: wrap; gap: .5rem 0; margin: 0; padding: 0; }
.lane li { display: flex; align-items: center; }
.lane li + li::before { content: "→"; color: var(--muted); padding: 0 .45rem; }
.lane li > span { background: var(--raised); border: 1px solid var(--line); border-radius: 5px;
  padding: .3rem .6rem; line-height: 1.3; font-size: .9rem; }
.lane small { display: block; color: var(--muted); font-size: .78rem; }
ul.counts { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.3rem; margin: .9rem 0; padding: 0; }
ul.counts b { font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .8rem 0 1rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem; }
th, td { text-align: left; vertical-align: top; padding: .38rem 1.2rem .38rem 0;
  border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--muted); font-size: .875rem; font-weight: 500; vertical-align: bottom; }
tbody th { font-weight: 500; }
.number { text-align: right; white-space: nowrap; }
td code { white-space: nowrap; }
td:has(.bar) { width: 45%; }
.bar { display: inline-block; height: .8em; min-width: 2px; border-radius: 1px; background: var(--muted); }
.plots { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 2rem; }
figure { margin: 1.4rem 0 .6rem; min-width: 0; }
/* Drawings side by side begin at one height, however long the words above them. */
.plots figure.half { display: grid; grid-row: span 2; grid-template-rows: subgrid; }
figure.wide { grid-column: 1 / -1; }
figcaption { margin-bottom: .6rem; max-width: 46rem; }
figcaption strong { display: block; font-weight: 600; line-height: 1.35; }
figcaption span { display: block; color: var(--muted); font-size: .875rem; line-height: 1.45; margin-top: .15rem; }
svg { display: block; max-width: 100%; height: auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
figure.wide svg { min-width: 640px; }
summary { cursor: pointer; color: var(--blue); margin: .5rem 0; }
ul.plain { max-width: 46rem; padding-left: 1.2rem; }
ul.plain li { margin: .4rem 0; }
blockquote { margin: .6rem 0; padding-left: 1rem; border-left: 3px solid var(--line); max-width: 46rem; }
@media (max-width: 760px) { main { padding: 1.5rem 1.1rem 3rem; }
  .plots, .lane { grid-template-columns: minmax(0, 1fr); }
  ol.steps li { grid-template-columns: 1fr 4.5rem; } ol.steps .mark { grid-column: 1 / -1; } }
@media print { main { max-width: none; padding: 0; } figure, tr, .lane { break-inside: avoid; } }
"""


def section(title: str, *content: str) -> Markup:
    """A part of the page."""
    return tag("section", tag("h2", title), *content)


def page(title: str, *content: str) -> str:
    """The whole document."""
    head = join(
        (
            Markup('<meta charset="utf-8">'),
            Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            tag("title", title),
            tag("style", Markup(_STYLE)),
        ),
        "\n",
    )
    body = tag("main", *content)
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'
