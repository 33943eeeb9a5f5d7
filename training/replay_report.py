"""A replay as a page: one file, for people who ask what would have been."""

from math import ceil, log10
from typing import Any

from fraud.currency import written
from training.charts import Series, lines
from training.drawing import bars
from training.money import ACTIONS
from training.pages import banner, figures, key, moment, page, percent, plots, section, table

__all__ = ["LEFT_OUT", "NOTES", "render"]

type Document = dict[str, Any]

LEFT_OUT = {
    "model_not_kept": "the bundle of the model that decided is not kept",
    "other_feature_set": "decided with another feature set than the model's; compute features anew for these",
    "policy_not_kept": "the policy that decided is not in the history",
    "rules_not_kept": "the version of the rules that decided is not kept",
}
"""Why a decision cannot be replayed, in words."""

NOTES = {
    "let_through": "declined, and let through at random as it was then: nothing is drawn anew",
    "within_a_bound": (
        "a milder action than the policy's first: a bound on declines or reviews was reached, as the process that "
        "decided counted it"
    ),
    "without_score": "decided without a score, then and in the replay",
}
"""What the replay of a decision leans on, in words."""

_WHICH = {"served": "as it was then", "current": "of today", "given": "given with the replay"}


def render(document: Document) -> str:
    """The page of a replay.json."""
    title = "Nothing changes" if document["identical"] else "What would have been"
    sections = [_head(document, title), _limits(document)]
    if not document["identical"]:
        sections += [_matrix(document), _scores(document), _largest(document)]
    sections += [_days(document), _merchants(document), _rules(document)]
    return page(f"Replay: {title}", [each for each in sections if each])


def _head(document: Document, title: str) -> str:
    asked = document["asked"]
    merchant = f", merchant {document['merchant']}" if document["merchant"] else ""
    features = "as recorded" if asked["features"] == "served" else f"computed anew, set “{asked['features']}”"
    model = "as it was then" if asked["model"] == "served" else asked["model"]
    where = (
        f"Payments from {moment(document['since'])} to {moment(document['until'])}{merchant}. "
        f"Features: {features}. Model: {model}. Rules: {_WHICH[asked['rules']]}. "
        f"Policy: {_WHICH[asked['policy']]}. Replay {document['id']}."
    )
    told = [
        ("decisions", f"{document['decisions']:,}"),
        ("come out otherwise", f"{document['changed']:,}"),
        ("known by now to be fraud or genuine", f"{document['labelled']:,}"),
        ("cannot be replayed", f"{document['decisions'] - document['replayed']:,}"),
    ]
    # A replay is no verdict: the colour says only whether something is left out.
    good = document["decisions"] == document["replayed"]
    return banner(title, document["sentence"], where, good=good) + figures(told)


def _limits(document: Document) -> str:
    rows = [
        (LEFT_OUT.get(name, name), f"{count:,}", "no") for name, count in document["cannot_be_replayed"].items()
    ]
    rows += [(NOTES.get(name, name), f"{count:,}", "yes") for name, count in document["notes"].items()]
    if document["repeated"]:
        rows.append(("delivered to the lake more than once, and counted once", f"{document['repeated']:,}", "yes"))
    if not rows:
        return ""
    return section(
        "What the replay leans on, and what it leaves out", "", table(("", "decisions", "replayed"), rows)
    )


def _matrix(document: Document) -> str:
    parts = []
    for currency in sorted({each["currency"] for each in document["ways"]}):
        ways = {(each["from"], each["to"]): each for each in document["ways"] if each["currency"] == currency}
        rows = []
        for was in ACTIONS:
            cells = [ways.get((was, becomes)) for becomes in ACTIONS]
            if any(cells):
                told = (_cell(each, currency) for each in cells)
                rows.append((f"was {was}", *told))
        parts.append(f"<h3>{currency}</h3>" + table(("", *(f"now {action}" for action in ACTIONS)), rows))
        changed = [
            (f"{was} → {becomes}", *_known(each, currency))
            for (was, becomes), each in ways.items()
            if was != becomes
        ]
        if changed:
            head = ("what changes", "payments", "amount", "known frauds", "known genuine", "not known")
            parts.append(table(head, changed))
    words = "Payments and their amounts by what was decided and what the replay decides."
    return section("From action to action", words, "".join(parts))


def _cell(way: Document | None, currency: str) -> str:
    return "–" if way is None else f"{way['all']['count']:,} ({written(way['all']['amount'], currency)})"


def _known(way: Document, currency: str) -> tuple[str, ...]:
    told = (
        f"{way[each]['count']:,} ({written(way[each]['amount'], currency)})"
        for each in ("fraud", "genuine", "unknown")
    )
    return f"{way['all']['count']:,}", written(way["all"]["amount"], currency), *told


def _scores(document: Document) -> str:
    scores = document["scores"]
    words = (
        f"{scores['compared']:,} decisions have a score then and now; {scores['equal']:,} of these are equal to "
        f"the last bit, and the largest difference is {scores['furthest']:.4f}. {scores['scored_anew']:,} had "
        f"none and have one now, {scores['lost']:,} the other way round."
    )
    if scores["compared"] == scores["equal"]:
        return section("Scores", words, "")
    counts, bins = scores["differences"], len(scores["differences"])
    rows = [
        (
            f"{2 * place / bins - 1:+.2f} to {2 * (place + 1) / bins - 1:+.2f}",
            [(float(count), "one" if place >= bins // 2 else "two")],
            f"{count:,}",
        )
        for place, count in enumerate(counts)
        if count
    ]
    names = key([("one", "higher in the replay"), ("two", "lower")])
    drawing = bars("Payments by the change of their score", rows, names=160)
    return section(
        "Scores", words, f'{names}<div class="scroll">{drawing}</div>' + plots([_shape(scores), _reach(scores)])
    )


def _shape(scores: Document) -> tuple[str, str, str]:
    """Both distributions; nearly all payments score low, so that counts are drawn by their magnitude."""
    steps = len(scores["before"])
    curves = [
        Series(kind, [((place + 0.5) / steps, log10(1 + count)) for place, count in enumerate(scores[side])])
        for kind, side in (("one", "after"), ("two", "before"))
    ]
    top = max(y for curve in curves for _, y in curve.points) or 1.0
    drawing = lines(
        "Scores then and in the replay", curves, x=("score", 0.0, 1.0), y=("", 0.0, float(ceil(top))), shares=False
    )
    return "Payments by score", "Powers of ten; blue in the replay, dashed as it was.", drawing


def _reach(scores: Document) -> tuple[str, str, str]:
    """Of the payments whose score moved, the share that moved at least so far."""
    counts = scores["differences"]
    half = len(counts) // 2
    sizes = [up + down for up, down in zip(counts[half:], reversed(counts[:half]), strict=True)]
    moved = sum(sizes)
    points = [(place / half, sum(sizes[place:]) / moved) for place in range(half)]
    drawing = lines(
        "How far scores moved", [Series("one", points)], x=("difference of the scores", 0.0, 1.0), y=("", 0.0, 1.0)
    )
    return "How far scores moved", "Share of those that moved, by at least so much.", drawing


def _largest(document: Document) -> str:
    if not document["largest"]:
        return ""
    rows = [
        (
            each["event_id"],
            moment(each["event_time"]).removesuffix(" UTC"),
            f"{written(each['amount'], each['currency'])} {each['currency']}",
            f"{each['from']} → {each['to']}",
            f"{_score(each['score'])} → {_score(each['new_score'])}",
            " ".join(each["new_rules"]),
            each["truth"],
        )
        for each in document["largest"]
    ]
    head = ("payment", "when (UTC)", "amount", "action", "score", "rules", "known")
    words = "The largest of those that come out otherwise; changes.parquet holds all of them."
    return section("Payments that change", words, table(head, rows))


def _days(document: Document) -> str:
    days = document["days"]
    if len(days) < 2:
        return ""
    top = max(max(each["stopped_before"], each["stopped_after"]) / each["decisions"] for each in days) or 1.0
    curves = [
        Series(kind, [(place, each[side] / each["decisions"]) for place, each in enumerate(days)])
        for kind, side in (("one", "stopped_after"), ("two", "stopped_before"))
    ]
    stopped = lines(
        "Share of payments that were reviewed or declined, by day",
        curves,
        x=("day", 0.0, float(len(days) - 1)),
        y=("reviewed or declined", 0.0, top),
        names=[_date(each["name"]) for each in days],
    )
    most = max(each["changed"] / each["decisions"] for each in days) or 1.0
    changed = lines(
        "Share of payments that come out otherwise, by day",
        [Series("one", [(place, each["changed"] / each["decisions"]) for place, each in enumerate(days)])],
        x=("day", 0.0, float(len(days) - 1)),
        y=("come out otherwise", 0.0, most),
        names=[_date(each["name"]) for each in days],
    )
    drawn = plots(
        [
            ("Reviewed or declined", "Blue in the replay, dashed as it was.", stopped),
            ("Come out otherwise", "Of a day's payments.", changed),
        ]
    )
    return section("Day by day", "Days of the payments, UTC.", drawn)


def _merchants(document: Document) -> str:
    told = document["merchants"]
    rows = [
        (
            each["name"],
            f"{each['decisions']:,}",
            f"{each['changed']:,}",
            percent(each["changed"] / each["decisions"], 2),
            percent(each["stopped_before"] / each["decisions"], 2),
            percent(each["stopped_after"] / each["decisions"], 2),
        )
        for each in told["most_changed"]
    ]
    head = ("merchant", "decisions", "changed", "share", "stopped then", "stopped now")
    words = f"{len(rows)} of {told['count']:,}, those with the most changes. Stopped: reviewed or declined."
    return section("Merchant by merchant", words, table(head, rows))


def _rules(document: Document) -> str:
    if not document["rules"]:
        return ""
    rows = [(name, f"{each['before']:,}", f"{each['after']:,}") for name, each in document["rules"].items()]
    return section("Rules that matched", "", table(("rule", "payments then", "payments in the replay"), rows))


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _date(time: int) -> str:
    return moment(time)[5:10]
