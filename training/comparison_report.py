"""The comparison in shadow as a page: one file, for people who say whether a model may decide."""

from typing import Any

from training.drawing import bars
from training.maturity import days
from training.money import ACTIONS
from training.pages import banner, figures, key, moment, page, percent, section, table
from training.wording import BOUNDS, Show, money, number

__all__ = ["render"]

_ROLES = ("challenger", "champion")

type Document = dict[str, Any]


def render(document: Document) -> str:
    """The page of a comparison.json."""
    title = "The challenger holds in shadow" if document["verdict"]["passed"] else "What serves now stays"
    sections = [_head(document, title)]
    if document["decisions"]:
        sections += [_actions(document), _labels(document), _histograms(document), _bounds(document)]
    return page(title, sections)


def _head(document: Document, title: str) -> str:
    where = (
        f"Challenger {document['challenger']} beside champion {document['champion']}, from "
        f"{moment(document['since'])} to {moment(document['as_of'])}, policy “{document['policy']}”."
    )
    told = [
        ("decisions scored by both", f"{document['decisions']:,}"),
        (f"of them old enough for their labels, {days(document['maturity'])}", f"{document['matured']:,}"),
        ("of those were fraud", f"{document['frauds']:,}"),
    ]
    words = document["verdict"]["reason"]
    return banner(title, words, where, good=document["verdict"]["passed"]) + figures(told)


def _actions(document: Document) -> str:
    models = document["models"]
    shares = [
        (f"{action}", *(percent(models[role][f"{action}_share"], 2) for role in _ROLES)) for action in ACTIONS
    ]
    shares.append(("mean score", *(number(models[role]["mean_score"]) for role in _ROLES)))
    moved = [
        (f"champion: {action}", *(f"{count:,}" for count in row))
        for action, row in zip(ACTIONS, document["agreement"], strict=True)
    ]
    return section(
        "What would change",
        "What the policy makes of either model's scores, for every payment that both scored. Rules and lists, "
        "which come before and after it, are left out.",
        table(("by the policy", *_ROLES), shares)
        + "<h3>Payment by payment</h3>"
        + table(("", *(f"challenger: {action}" for action in ACTIONS)), moved),
    )


def _labels(document: Document) -> str:
    told = document["on_labels"]
    words = (
        "Payments old enough that the absence of a label means genuine. Intervals are of 95 %, by drawing "
        "the cards again and again."
    )
    if told is None:
        return section("What became of the payments", f"{words} There are none yet with both truths.", "")
    names: dict[str, tuple[str, Show]] = {
        "average_precision": ("average precision", number),
        "saved_per_1000": ("saved per 1,000 payments, against approving all", money),
    }
    rows = []
    for name, (text, show) in names.items():
        gained = told["difference"][name]
        rows.append(
            (
                text,
                *(show(told[role][name]) for role in _ROLES),
                show(gained["value"], sign=True),
                f"{show(gained['low'], sign=True)} to {show(gained['high'], sign=True)}",
                percent(gained["confidence"], 0),
            )
        )
    head = ("figure", *_ROLES, "difference", "95% interval", "challenger better in")
    more = [
        (text, *(percent(told[role][name], 2) for role in _ROLES), "", "", "")
        for name, text in (
            ("frauds_stopped", "frauds not simply approved"),
            ("fraud_value_stopped", "fraud money not simply approved"),
            ("genuine_stopped", "genuine payments not simply approved"),
        )
    ]
    return section("What became of the payments", words, table(head, [*rows, *more]))


def _histograms(document: Document) -> str:
    counted = {role: document["models"][role]["score_histogram"] for role in _ROLES}
    bins = len(counted["challenger"])
    # Nearly all payments are in the lowest bin, which would leave nothing to see of the others.
    rows = [
        (
            f"{role}, {100 * place // bins} to {100 * (place + 1) // bins}%",
            [(float(counted[role][place]), kind)],
            f"{counted[role][place]:,}",
        )
        for place in range(1, bins)
        if any(counted[each][place] for each in _ROLES)
        for role, kind in zip(_ROLES, ("one", "two"), strict=True)
    ]
    lowest = " and ".join(f"{counted[role][0]:,} of the {role}'s" for role in _ROLES)
    words = f"How many payments score how high. Left out: scores below {100 // bins} %, {lowest}."
    if not rows:
        return section("Scores", words, "")
    drawing = bars("Payments by score of either model", rows, names=220)
    names = key([("one", "challenger"), ("two", "champion")])
    return section("Scores", words, f'{names}<div class="scroll">{drawing}</div>')


def _bounds(document: Document) -> str:
    rows = []
    for check in document["verdict"]["checks"]:
        words, show = BOUNDS[check["name"]]
        rows.append((words, show(check["measured"]), show(check["bound"]), "yes" if check["passed"] else "no"))
    return section("What was asked, and what was measured", "", table(("", "measured", "bound", "kept"), rows))
