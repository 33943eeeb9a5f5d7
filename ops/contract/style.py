"""How the page of the API looks, in light and in dark."""

from typing import Final

__all__ = ["STYLE"]

STYLE: Final = """
:root { color-scheme: light dark;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  --paper: #fdfdfc; --raised: #f4f4f1; --ink: #1c2126; --muted: #5d666e; --line: #dfe1e0;
  --blue: #0066a1; --green: #00795a; --amber: #8a5a00; --red: #b34a00; --code: #f1f2ef; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #15181b; --raised: #1b2023; --ink: #e6e8e9; --muted: #9aa4ac; --line: #323940;
  --blue: #6bb8ea; --green: #45caa3; --amber: #e8b640; --red: #f39255; --code: #20262a; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 var(--sans);
  display: grid; grid-template-columns: 18rem minmax(0, 1fr); }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.6rem 1.2rem 2rem 1.6rem;
  background: var(--raised); border-right: 1px solid var(--line); font-size: .875rem; line-height: 1.35; }
nav a { display: block; padding: .28rem 0; color: var(--ink); text-decoration: none; }
nav a:hover { color: var(--blue); }
nav .brand { font-size: 1.05rem; margin-bottom: .8rem; }
nav h2 { font-size: .78rem; letter-spacing: .06em; text-transform: uppercase; color: var(--muted);
  font-weight: 600; margin: 1.3rem 0 .25rem; }
main { max-width: 84rem; padding: 0 2.5rem 5rem; }
section { padding: 2.6rem 0; border-bottom: 1px solid var(--line); display: grid;
  grid-template-columns: minmax(0, 1.1fr) minmax(0, 1fr); gap: 0 2.6rem; align-items: start; }
#start, #problems { display: block; max-width: 47rem; }
section:last-child { border: 0; }
h1 { font-size: 2rem; line-height: 1.2; font-weight: 680; letter-spacing: -.015em; margin: 0 0 .6rem; }
section h2 { font-size: 1.35rem; line-height: 1.3; font-weight: 660; margin: 0 0 .3rem; }
h3 { font-size: .95rem; font-weight: 640; margin: 1.6rem 0 .4rem; }
.examples h3:first-child { margin-top: .4rem; }
p { margin: .5rem 0 .8rem; }
.lead { font-size: 1.12rem; color: var(--muted); }
a { color: var(--blue); }
code { font: .875em var(--mono); background: var(--code); padding: .1em .3em; border-radius: 4px;
  overflow-wrap: anywhere; }
pre { background: var(--code); border: 1px solid var(--line); border-radius: 8px; padding: .9rem 1rem;
  overflow-x: auto; margin: .5rem 0 1rem; line-height: 1.45; }
pre code { background: none; padding: 0; font-size: .82rem; overflow-wrap: normal; white-space: pre; }
.method { display: inline-block; font: 600 .72rem/1.5 var(--mono); color: var(--green); min-width: 3.2rem;
  letter-spacing: .02em; }
.method.post { color: var(--blue); } .method.put { color: var(--amber); } .method.delete { color: var(--red); }
nav .call { display: grid; grid-template-columns: 3.4rem 1fr; }
nav .method { min-width: 0; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; line-height: 1.45; }
th, td { text-align: left; vertical-align: top; padding: .5rem .9rem .5rem 0; border-top: 1px solid var(--line); }
th { width: 34%; font-weight: 500; } td { padding-right: 0; }
th em { display: block; font-style: normal; font-size: .78rem; color: var(--red); padding-left: .3em; }
.kind { display: block; color: var(--muted); font-size: .84rem; }
summary { cursor: pointer; color: var(--blue); margin: .7rem 0; font-size: .92rem; }
ul.kinds { columns: 2; list-style: none; padding: 0; margin: .4rem 0; font-size: .88rem; }
ul.kinds li { padding: .12rem 0; break-inside: avoid; font-variant-numeric: tabular-nums; }
article h3 { margin-bottom: .1rem; } article h3 span { color: var(--muted); font-weight: 500; margin-left: .6rem; }
article p { margin-top: .2rem; }
@media (max-width: 1120px) { section { display: block; } }
@media (max-width: 760px) { body { display: block; } main { padding: 0 1.1rem 3rem; }
  nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); } }
@media print { body, section { display: block; } nav { display: none; } pre { white-space: pre-wrap; } }
"""
