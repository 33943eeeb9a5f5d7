"""The consistency report as a page: one file, for people who answer for the model."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from itertools import pairwise

from training.drawing import bars, columns
from training.figures import AGES, LAG, Consistency, FeatureConsistency

__all__ = ["render"]

MOST_BARS = 25

_STYLE = """
:root { color-scheme: light dark; --sans: system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif;
  --paper: #fdfdfc; --ink: #1c2126; --muted: #626b73; --line: #dfe1e0;
  --different: #0072b2; --gone: #d55e00; --surplus: #d69400; --good: #00805f; --bad: #c24e00; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181b; --ink: #e6e8e9; --muted: #9aa4ac; --line: #343b41;
  --different: #5aaee6; --gone: #f0853c; --surplus: #e8b640; --good: #2fc49a; --bad: #f0853c; } }
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
svg .different { fill: var(--different); } svg .gone { fill: var(--gone); } svg .surplus { fill: var(--surplus); }
svg .grid { stroke: var(--line); } svg .mark { stroke: var(--ink); stroke-dasharray: 4 3; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; list-style: none; padding: 0; font-size: .9rem; }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .45em; }
.key .different { background: var(--different); } .key .gone { background: var(--gone); }
.key .surplus { background: var(--surplus); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem 0 .3rem 1.1rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { color: var(--muted); font-weight: 500; }
summary { cursor: pointer; color: var(--different); margin: .8rem 0; }
@media print { main { max-width: none; padding: 0; } section { break-inside: avoid; } }
"""

_LEFT_OUT = {
    "decision_after_as_of": "came after the moment of this report",
    "decision_degraded": "were answered without state or without a model",
    "decision_duplicate": "were delivered to the lake more than once",
    "decision_of_another_feature_set": "were served with another feature set than today's",
    "decision_without_vector": "carry no features",
}


def render(report: Consistency, bound: float) -> str:
    """The page, self-contained, light or dark as its reader has it.

    Parameters
    ----------
    bound : float
        The share of decisions that any feature may differ in; it is drawn as a line.
    """
    title, good = _verdict(report, bound)
    sections = [_head(report, title, good)]
    if report.rows:
        differing = sorted(
            (each for each in report.features if each.differing), key=lambda each: (-each.differing, each.name)
        )
        if differing:
            sections += [_features(report, differing, bound), _ages(report)]
        sections += [_days(report), _table(report, differing)]
    sections += [_others(report), _reading()]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>"
        f"{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _verdict(report: Consistency, bound: float) -> tuple[str, bool]:
    worst = report.worst()
    if not report.rows:
        return "No decisions to compare yet", True
    if worst is None:
        return "Serving saw exactly what it should have seen", True
    if worst.share <= bound:
        return "Serving saw almost everything as it should have", True
    return "Serving saw something else than it should have", False


def _head(report: Consistency, title: str, good: bool) -> str:
    where = f"Feature set {report.feature_set}, as of {_moment(report.as_of)}."
    if report.window is not None:
        where += f" Decisions from {_moment(report.window[0])} to {_moment(report.window[1])}."
    words = report.sentence.partition(": ")[2]
    banner = (
        f'<div class="banner{"" if good else " bad"}"><h1>{title}</h1><p>{escape(words[:1].upper() + words[1:])}.'
        f'</p><p class="quiet">{escape(where)}</p></div>'
    )
    if not report.rows:
        return banner
    worst = report.worst()
    figures = [
        ("decisions compared", f"{report.rows:,}"),
        ("of them the same to the last bit", f"{report.identical / report.rows:.2%}"),
        (
            "features that ever differ",
            f"{sum(each.differing > 0 for each in report.features)} of {len(report.features)}",
        ),
        ("decisions in which the worst feature differs", "0" if worst is None else f"{worst.share:.2%}"),
    ]
    return (
        banner
        + "<dl>"
        + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures)
        + "</dl>"
    )


def _features(report: Consistency, differing: Sequence[FeatureConsistency], bound: float) -> str:
    rows = [
        (
            each.name,
            [(each.mismatched, "different"), (each.missing, "gone"), (each.extra, "surplus")],
            f"{each.share:.2%}, {_age(each.median_staleness)}" if each.entity else f"{each.share:.2%}",
        )
        for each in differing[:MOST_BARS]
    ]
    drawing = bars(
        "Share of decisions in which each feature differs",
        rows,
        names=300,
        mark=(bound * report.rows, f"bound of {bound:.0%}"),
    )
    more = len(differing) - len(rows)
    note = f" {more} more features differ in fewer; they are in the table below." if more else ""
    return _section(
        "Which features differ, and in how many decisions",
        "Behind each bar: the share of decisions, and the median time since the youngest earlier event of the "
        f"same key, which is most likely what serving had not counted yet.{note}",
        '<ul class="key"><li><i class="different"></i>another number</li>'
        '<li><i class="gone"></i>missing in serving</li>'
        f'<li><i class="surplus"></i>in serving only</li></ul><div class="scroll">{drawing}</div>',
    )


def _ages(report: Consistency) -> str:
    bounds = [_age(bound) for bound in AGES]
    names = [
        f"up to {bounds[0]}",
        *(f"{low} to {high}" for low, high in pairwise(bounds)),
        f"more than {bounds[-1]}",
        "no earlier event",
    ]
    whole = max(sum(report.staleness), 1)
    rows = [
        (name, [(count, "different")], f"{count:,} ({count / whole:.1%})")
        for name, count in zip(names, report.staleness, strict=True)
    ]
    drawing = bars("Differences by the age of the youngest earlier event", rows, names=160)
    return _section(
        "How fresh the history was that serving did not have",
        "Where the features of a card, a merchant or another key differ, by how long before the payment its "
        "youngest earlier event came. Seconds mean that updates lag behind busy keys. Hours and days mean that "
        "events never reached the feature store, or that the lake learnt of them elsewhere. So does a feature "
        "that differs far more often than others of the same key.",
        f'<div class="scroll">{drawing}</div>',
    )


def _days(report: Consistency) -> str:
    values = [
        (each.day[5:], each.differing / each.rows, f"{each.day}: {each.differing:,} of {each.rows:,} decisions")
        for each in report.days
    ]
    drawing = columns("Share of each day's decisions with any difference", values, "different")
    return _section(
        "Day by day",
        "The share of a day's decisions (UTC) in which any feature differs. A step marks the day on which "
        "something changed.",
        f'<div class="scroll">{drawing}</div>',
    )


def _table(report: Consistency, differing: Sequence[FeatureConsistency]) -> str:
    same = [each for each in report.features if not each.differing]
    shown = _rows(differing) if differing else ""
    rest = f"<details><summary>{len(same)} features never differ</summary>{_rows(same)}</details>" if same else ""
    return _section(
        "All features",
        "Counts are decisions; the largest gap between two numbers is in the feature's own unit, and staleness is "
        "a median. The last column counts the differences next to an event so young that a short lag may be all "
        "there is to them.",
        shown + rest,
    )


def _rows(features: Sequence[FeatureConsistency]) -> str:
    head: tuple[str, ...] = (
        "feature",
        "exact",
        "another number",
        "missing",
        "served only",
        "largest gap",
        "staleness",
        f"< {_age(LAG)}",
    )
    lines = [
        (
            each.name,
            f"{each.exact:,}",
            f"{each.mismatched:,}",
            f"{each.missing:,}",
            f"{each.extra:,}",
            "" if each.largest_difference is None else f"{each.largest_difference:,.6g}",
            "" if each.median_staleness is None else _age(each.median_staleness),
            f"{each.lagging:,}",
        )
        for each in features
    ]
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
    return (
        f'<div class="scroll"><table><thead><tr>{"".join(f"<th>{name}</th>" for name in head)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _others(report: Consistency) -> str:
    if not report.left_out:
        return _section(
            "Decisions that were not compared", "None: every decision in the lake is in the figures above.", ""
        )
    items = "".join(
        f"<li>{count:,} {escape(_LEFT_OUT.get(name, name))}</li>" for name, count in report.left_out.items()
    )
    return _section("Decisions that were not compared", "", f"<ul>{items}</ul>")


def _reading() -> str:
    return _section(
        "How to read this",
        "Each decision was logged with the features that it was made from. Afterwards, when every event has "
        "arrived, the same features are computed again for the moment of the decision. Whatever is recomputed, "
        "such as imported history, teaches a model the second, while its scores come from the first: a feature "
        "that often differs makes them less good than they were measured to be. Equal means the same to the last "
        "bit.",
        "",
    )


def _section(title: str, words: str, content: str) -> str:
    paragraph = f'<p class="quiet">{escape(words)}</p>' if words else ""
    return f"<section><h2>{escape(title)}</h2>{paragraph}{content}</section>"


def _moment(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1_000, UTC):%Y-%m-%d %H:%M} UTC"


def _age(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "no earlier event"
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if milliseconds >= size:
            return f"{milliseconds / size:.3g} {unit}"
    return f"{milliseconds:.0f} ms"
