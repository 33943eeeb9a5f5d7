"""The consistency report as a page: one file, for people who answer for the model."""

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from fraud.release import GatePolicy
from training.consistency_figures import AGES, ENOUGH, LAG, OVERTAKING, Consistency, FeatureConsistency
from training.drawing import bars, columns
from training.pages import banner, figures, key, moment, page, section, table

__all__ = ["render"]

MOST_BARS = 25

_LEFT_OUT = {
    "decision_after_as_of": "came after the moment of this report",
    "decision_degraded": "were answered without state or without a model",
    "decision_duplicate": "were delivered to the lake more than once",
    "decision_of_another_feature_set": "were served with another feature set than today's",
    "decision_without_vector": "carry no features",
}


def render(report: Consistency, policy: GatePolicy) -> str:
    """The page, self-contained, light or dark as its reader has it; the policy's bounds are drawn as lines."""
    title, good = _verdict(report, policy)
    sections = [_head(report, title, good)]
    if report.rows:
        differing = sorted(
            (each for each in report.features if each.differing),
            key=lambda each: (-each.settled_share * each.judged, -each.differing, each.name),
        )
        if differing:
            sections += [_unexplained(report, policy), _features(differing, policy), _ages(report)]
        sections += [_days(report), _table(report, differing)]
    sections += [_others(report), _reading()]
    return page(title, sections)


def _verdict(report: Consistency, policy: GatePolicy) -> tuple[str, bool]:
    worst, settled = report.worst(), report.worst_settled()
    if not report.rows:
        return "No decisions to compare yet", True
    if worst is None:
        return "Serving saw exactly what it should have seen", True
    if settled is not None and settled.settled_share > policy.maximum_mismatch:
        return "Serving saw something else than it should have", False
    if worst.share > policy.maximum_lagging:
        return "Serving was far behind", False
    if settled is not None:
        return "Serving saw almost everything as it should have", True
    return "Serving saw what it should have, but for a lag", True


def _head(report: Consistency, title: str, good: bool) -> str:
    where = f"Feature set {report.feature_set}, as of {moment(report.as_of)}."
    if report.window is not None:
        where += f" Decisions from {moment(report.window[0])} to {moment(report.window[1])}."
    words = report.sentence.partition(": ")[2]
    verdict = banner(title, f"{words[:1].upper()}{words[1:]}.", where, good=good)
    if not report.rows:
        return verdict
    worst, settled = report.worst(), report.worst_settled()
    told = [
        ("decisions compared", f"{report.rows:,}"),
        ("of them the same to the last bit", f"{report.identical / report.rows:.2%}"),
        (
            "features that ever differ",
            f"{sum(each.differing > 0 for each in report.features)} of {len(report.features)}",
        ),
        (
            "of the worst feature's settled decisions differ: no lag explains them",
            "0" if settled is None else f"{settled.settled_share:.2%}",
        ),
        (
            "of all decisions differ in the worst feature, mostly by lag",
            "0" if worst is None else f"{worst.share:.2%}",
        ),
    ]
    return verdict + figures(told)


def _unexplained(report: Consistency, policy: GatePolicy) -> str:
    found = sorted(
        (each for each in report.features if each.judged and each.settled_mismatches),
        key=lambda each: (-each.settled_share, each.name),
    )
    few = report.unjudged()
    note = f" {few} features have fewer than {ENOUGH} of them and are judged by their lag alone." if few else ""
    words = (
        f"Looked at here are settled decisions: no event of the same key came within {_age(LAG)} before them, and "
        f"no payment within {_age(OVERTAKING)} after them, so serving had all the time it needs and must have "
        "seen what there was, and no more. What differs all the same is an error: an event lost or counted twice, "
        "other code, another meaning, an import that only one side knows. "
        f"No model is promoted if a feature it uses differs in more than "
        f"{_percent(policy.maximum_mismatch)} of them.{note}"
    )
    if not found:
        return section("What no lag explains", f"Nothing. {words}", "")
    rows = [
        (each.name, [(each.settled_share, "wrong")], f"{each.settled_mismatches:,} of {each.settled:,}")
        for each in found[:MOST_BARS]
    ]
    drawing = bars(
        "Share of settled decisions in which each feature differs",
        rows,
        names=300,
        mark=(policy.maximum_mismatch, f"bound of {_percent(policy.maximum_mismatch)}"),
    )
    return section("What no lag explains", words, f'<div class="scroll">{drawing}</div>')


def _features(differing: Sequence[FeatureConsistency], policy: GatePolicy) -> str:
    shown = sorted(differing, key=lambda each: (-each.differing, each.name))[:MOST_BARS]
    rows = [
        (
            each.name,
            [
                (each.share * each.settled_mismatches / each.differing, "wrong"),
                (each.share * each.lagging / each.differing, "lag"),
            ],
            f"{each.share:.2%}, {_age(each.median_staleness)}" if each.entity else f"{each.share:.2%}",
        )
        for each in shown
    ]
    drawing = bars(
        "Share of all decisions in which each feature differs",
        rows,
        names=300,
        mark=(policy.maximum_lagging, f"bound of {_percent(policy.maximum_lagging)}"),
    )
    legend = key(
        [
            ("lag", f"next to an event younger than {_age(LAG)}: a lag may be all"),
            ("wrong", "no lag explains it"),
        ]
    )
    more = len(differing) - len(shown)
    note = f" {more} more features differ in fewer; they are in the table below." if more else ""
    return section(
        "All differences, those of a lag among them",
        "Behind each bar: the share of all decisions, and the median time since the youngest earlier event of the "
        "same key, which is most likely what serving had not counted yet. Updates take a moment, so features of a "
        "busy merchant differ often, by little, with nothing wrong. No model is promoted if a feature it uses "
        f"differs in more than {_percent(policy.maximum_lagging)} of all decisions: then serving "
        f"is far behind.{note}",
        f'{legend}<div class="scroll">{drawing}</div>',
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
        (name, [(count, "lag" if bound <= LAG else "wrong")], f"{count:,} ({count / whole:.1%})")
        for name, count, bound in zip(names, report.staleness, [*AGES, math.inf, math.inf], strict=True)
    ]
    drawing = bars("Differences by the age of the youngest earlier event", rows, names=160)
    return section(
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
    drawing = columns("Share of each day's decisions with any difference", values, "lag")
    return section(
        "Day by day",
        "The share of a day's decisions (UTC) in which any feature differs. A step marks the day on which "
        "something changed.",
        f'<div class="scroll">{drawing}</div>',
    )


def _table(report: Consistency, differing: Sequence[FeatureConsistency]) -> str:
    same = [each for each in report.features if not each.differing]
    shown = _rows(differing) if differing else ""
    rest = f"<details><summary>{len(same)} features never differ</summary>{_rows(same)}</details>" if same else ""
    return section(
        "All features",
        "Counts are decisions; the largest gap between two numbers is in the feature's own unit, and staleness is "
        "a median. The last two columns are of settled decisions, without an event of the key within "
        f"{_age(LAG)}: how many there are, and in how many of them the feature differs, which no lag explains.",
        shown + rest,
    )


def _rows(features: Sequence[FeatureConsistency]) -> str:
    head = (
        "feature",
        "exact",
        "another number",
        "missing",
        "served only",
        "largest gap",
        "staleness",
        "settled",
        "differ, settled",
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
            f"{each.settled:,}",
            f"{each.settled_mismatches:,}",
        )
        for each in features
    ]
    return table(head, lines)


def _others(report: Consistency) -> str:
    if not report.left_out:
        return section(
            "Decisions that were not compared", "None: every decision in the lake is in the figures above.", ""
        )
    items = "".join(
        f"<li>{count:,} {escape(_LEFT_OUT.get(name, name))}</li>" for name, count in report.left_out.items()
    )
    return section("Decisions that were not compared", "", f"<ul>{items}</ul>")


def _reading() -> str:
    return section(
        "How to read this",
        "Each decision was logged with the features that it was made from. Afterwards, when every event has "
        "arrived, the same features are computed again for the moment of the decision. Whatever is recomputed, "
        "such as imported history, teaches a model the second, while its scores come from the first: a feature "
        "that often differs makes them less good than they were measured to be. Equal means the same to the last "
        "bit.",
        "",
    )


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _age(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "no earlier event"
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if milliseconds >= size:
            return f"{milliseconds / size:.3g} {unit}"
    return f"{milliseconds:.0f} ms"
