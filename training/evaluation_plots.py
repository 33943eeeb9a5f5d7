"""What an evaluation draws: ranking and probabilities, weeks, parts of the payments, and what drives the model."""

from typing import Any

from training.charts import Series, dots, lines, ranges
from training.drawing import bars
from training.pages import key, plots, section, table
from training.wording import money, number

__all__ = ["draw_curves", "draw_drivers", "draw_slices", "draw_weeks", "roles_of"]

MOST_DRIVERS = 12

type Document = dict[str, Any]


def roles_of(document: Document) -> tuple[str, ...]:
    """The models of an evaluation: the candidate, and the champion if there is one."""
    return ("candidate",) if document["champion"] is None else ("candidate", "champion")


def draw_curves(document: Document) -> str:
    """Precision and recall, ROC, and whether probabilities can be believed."""
    roles = roles_of(document)
    kinds = dict(zip(roles, ("one", "two"), strict=False))
    drawn = document["plots"]

    def curve(name: str, x: str, y: str) -> list[Series]:
        return [
            Series(kinds[role], list(zip(drawn[role][name][x], drawn[role][name][y], strict=True)))
            for role in roles
        ]

    bands = [
        Series(
            kinds[role],
            [(band["mean_score"], band["fraud_rate"]) for band in drawn[role]["bands"]],
            reaches=[(band["low"], band["high"]) for band in drawn[role]["bands"]],
            joined=False,
        )
        for role in roles
    ]
    share = (0.0, 1.0)
    content = plots(
        [
            (
                "Can the probabilities be believed?",
                "On the diagonal: of payments scored 30 %, 30 % were fraud. Bars are 95 % intervals.",
                lines(
                    "Observed rate of fraud by score",
                    [Series("quiet", [(0.0, 0.0), (1.0, 1.0)]), *bands],
                    x=("score", *share),
                    y=("observed fraud", *share),
                ),
            ),
            (
                "How pure is what it stops?",
                "Further up and right is better: frauds found along x, and how many of those stopped are frauds.",
                lines(
                    "Precision by recall",
                    curve("precision_recall", "recall", "precision"),
                    x=("frauds found (recall)", *share),
                    y=("precision", *share),
                ),
            ),
            (
                "Few genuine payments stopped: how many frauds found?",
                "The left edge of the ROC curve, up to one genuine payment in a hundred: where thresholds are.",
                lines(
                    "Recall by false positive rate up to 1 %",
                    [
                        Series(each.kind, [point for point in each.points if point[0] <= 0.01])
                        for each in curve("roc", "false_positive_rate", "recall")
                    ],
                    x=("genuine payments stopped", 0.0, 0.01),
                    y=("frauds found", *share),
                ),
            ),
            (
                "The whole ROC curve",
                "Further up and left is better; the diagonal is guessing.",
                lines(
                    "Recall by false positive rate",
                    [Series("quiet", [(0.0, 0.0), (1.0, 1.0)]), *curve("roc", "false_positive_rate", "recall")],
                    x=("genuine payments stopped", *share),
                    y=("frauds found", *share),
                ),
            ),
        ]
    )
    return section("Ranking and probabilities", "", _key(document) + content)


def draw_weeks(document: Document) -> str:
    """How steady the models are."""
    roles, weeks = roles_of(document), document["weeks"]
    names = [each["week"] for each in weeks["candidate"]]
    kinds = dict(zip(roles, ("one", "two"), strict=False))

    def series(figure: str) -> list[Series]:
        found = (
            (
                role,
                [
                    (float(place), each[figure])
                    for place, each in enumerate(weeks[role])
                    if each[figure] is not None
                ],
            )
            for role in roles
        )
        return [Series(kinds[role], points) for role, points in found]

    last = max(len(names) - 1, 1)
    drawn = [
        (
            "Average precision",
            "A fall towards the end says that the model ages.",
            lines(
                "Average precision by week",
                series("average_precision"),
                x=("week", 0.0, last),
                y=("", 0.0, 1.0),
                names=names,
            ),
        ),
        (
            "Share approved",
            "What merchants notice first when it moves.",
            lines(
                "Share approved by week",
                series("approve_share"),
                x=("week", 0.0, last),
                y=("", 0.5, 1.0),
                names=names,
            ),
        ),
    ]
    head = ("week", "payments", "frauds", *(f"{word} {role}" for role in roles for word in ("AP", "saved")))
    rows = [
        (
            name,
            f"{weeks['candidate'][place]['rows']:,}",
            f"{weeks['candidate'][place]['frauds']:,}",
            *(
                text
                for role in roles
                for text in (
                    number(weeks[role][place]["average_precision"]),
                    money(weeks[role][place]["saved_per_1000"]),
                )
            ),
        )
        for place, name in enumerate(names)
    ]
    words = (
        "Weeks as calendars count them (ISO, UTC); the first and the last may be parts. Saved is per 1,000 "
        "payments."
    )
    return section("Week by week", words, _key(document) + plots(drawn) + table(head, rows))


def draw_slices(document: Document) -> str:
    """Whether any part of the payments fares worse."""
    both, least = document["champion"] is not None, document["verdict"]["policy"]["minimum_slice_frauds"]
    value = "difference" if both else "candidate"
    words = (
        f"Average precision in parts of the payments{', candidate less champion' * both}, with 95 % intervals "
        f"where there are frauds enough. Parts with fewer than {least} frauds are shown and not judged."
    )
    groups: dict[str, list[Document]] = {}
    for each in document["slices"]:
        groups.setdefault(each["dimension"], []).append(each)
    content = ""
    for name, members in groups.items():
        rows = [
            (
                each["value"],
                each.get(value),
                each.get(f"{value}_95"),
                f"{number(each.get(value), sign=both)}, {each['frauds']:,} of {each['rows']:,} fraud",
            )
            for each in members
            if each["frauds"]
        ]
        drawing = (
            ranges(f"Difference by {name}", rows, mark="as good as the champion", names=190)
            if both
            else bars(
                f"Average precision by {name}",
                [(text, [(told or 0.0, "one")], end) for text, told, _, end in rows],
                names=190,
            )
        )
        content += f'<h3>By {name}</h3><div class="scroll">{drawing}</div>'
    return section("Is it good for everyone?", words, content)


def draw_drivers(document: Document) -> str:
    """What moves scores, in the words of the reason catalogue."""
    told = document["drivers"]
    sample = told["sample"]
    words = (
        "How far, on average, a score is moved by each kind of evidence (exact contributions in log-odds, where "
        f"0.7 doubles the odds), from {sample['rows']:,} of the payments, {sample['frauds']:,} of them frauds. At "
        "the right: how far it moves the scores of frauds."
    )
    reasons = [
        (each["text"], [(each["mean_absolute"], "one")], f"frauds {number(each['on_frauds'], 2, sign=True)}")
        for each in told["reasons"][:MOST_DRIVERS]
        if each["mean_absolute"] > 0
    ]
    rows = [
        (
            each["feature"],
            [step["moved"] for step in each["steps"]],
            f"{each['feature']}: {number(each['mean_absolute'], 3)} on average",
        )
        for each in told["features"][:MOST_DRIVERS]
        if each["mean_absolute"] > 0
    ]
    drawing = bars("Mean effect on the score by reason", reasons, names=480)
    single = dots(
        "Effect of each feature by its value", rows, names=290, mark="lowers the score | raises the score"
    )
    return section(
        "What drives the candidate",
        words,
        f'<div class="scroll">{drawing}</div><h3>The single features</h3>'
        '<p class="quiet">Each dot is a tenth of the payments: pale for the smallest values of the feature, '
        f'strong for the largest.</p><div class="scroll">{single}</div>',
    )


def _key(document: Document) -> str:
    names = [("one", f"candidate {document['candidate']['version']}")]
    if document["champion"] is not None:
        names.append(("two", f"champion {document['champion']['version']}, which serves now"))
    return key(names)
