"""The evaluation as a page: one file, for people who answer for what is declined."""

from typing import Any

from training.evaluation_plots import draw_curves, draw_drivers, draw_slices, draw_weeks, roles_of
from training.money import ACTIONS
from training.pages import banner, figures, moment, page, percent, section, table
from training.wording import BOUNDS, FIGURES, money, number

__all__ = ["render"]

type Document = dict[str, Any]


def render(document: Document) -> str:
    """The page of an evaluation.json."""
    sections = [
        _head(document),
        _money(document),
        _figures(document),
        draw_curves(document),
        draw_weeks(document),
        draw_slices(document),
        draw_drivers(document),
        _gate(document),
        _data(document),
        _reading(document),
    ]
    return page(_title(document), sections)


def _title(document: Document) -> str:
    passed = document["verdict"]["passed"]
    if document["champion"] is None:
        return "A first model, good enough to serve" if passed else "A first model that is not good enough"
    return "The candidate is better than what serves now" if passed else "What serves now stays"


def _head(document: Document) -> str:
    where = (
        f"Run {document['run_id']}: {document['rows']:,} payments from {moment(document['window'][0])} to "
        f"{moment(document['window'][1])}, later than all that the candidate has seen; {document['frauds']:,} of "
        "them were fraud."
    )
    candidate, mine = document["candidate"], document["money"]["candidate"]
    told = [
        ("of all frauds are not simply approved", percent(mine["frauds_stopped"])),
        ("of genuine payments share that", percent(mine["genuine_stopped"], 2)),
        ("saved per 1,000 payments, against approving all", money(mine["saved_per_1000"])),
        ("average precision: how pure the top of its ranking is", number(candidate["average_precision"])),
        ("calibration error: how far its probabilities are off", number(candidate["expected_calibration_error"])),
    ]
    return banner(
        _title(document), document["verdict"]["reason"], where, good=document["verdict"]["passed"]
    ) + figures(told)


def _money(document: Document) -> str:
    told, roles = document["money"], roles_of(document)
    saved = told["candidate"]["saved_per_1000"]
    words = (
        f"What the policy “{told['policy']}” would have done with these payments by each model's scores, and what "
        "that costs now that the truth is known: fraud that passed, genuine payers turned away, reviews and "
        "authentications. Amounts are in units of 100 minor ones, whatever the currency."
    )
    sentence = f"Per 1,000 payments the candidate saves {money(saved)} against approving all of them"
    if len(roles) == 2:
        difference = document["difference"]["saved_per_1000"]
        gained = difference["value"] or 0.0
        sentence += (
            f", {money(abs(gained))} {'more' if gained >= 0 else 'less'} than the champion "
            f"(95 % interval {money(difference['low'])} to {money(difference['high'])})"
        )
    names = {
        **{
            f"{action}_share": f"{words} by the policy"
            for action, words in zip(
                ACTIONS, ("approved", "challenged", "sent to review", "declined"), strict=True
            )
        },
        "frauds_stopped": "frauds not simply approved",
        "fraud_value_stopped": "fraud money not simply approved",
        "genuine_stopped": "genuine payments not simply approved",
    }
    rows = [(words, *(percent(told[role][name], 2) for role in roles)) for name, words in names.items()]
    rows += [
        (words, *(money(told[role][name]) for role in roles))
        for name, words in (
            ("cost_per_1000", "cost of fraud and of friction, per 1,000 payments"),
            ("cost_per_1000_approving_all", "the same if all were approved"),
            ("saved_per_1000", "saved, per 1,000 payments"),
        )
    ]
    return section("What it means in money", words, f"<p>{sentence}.</p>{table(('', *roles), rows)}")


def _figures(document: Document) -> str:
    roles = roles_of(document)
    both = len(roles) == 2
    head = (
        "figure",
        *roles,
        *(("difference", "95% interval", "candidate better in") if both else ("95% interval",)),
    )
    rows = []
    for name, (words, show) in FIGURES.items():
        values = [document[role].get(name) for role in roles]
        if all(value is None for value in values):
            continue
        row = [words, *(show(value) for value in values)]
        if both:
            told = document["difference"].get(name)
            row += (
                ["", "", ""]
                if told is None
                else [
                    show(told["value"], sign=True),
                    f"{show(told['low'], sign=True)} to {show(told['high'], sign=True)}",
                    percent(told["confidence"], 0),
                ]
            )
        else:
            reach = document["intervals"]["candidate"].get(name)
            row.append("" if reach is None else f"{show(reach[0])} to {show(reach[1])}")
        rows.append(row)
    note = (
        " Payments that were let through at random stand for those like them that were blocked: each counts by "
        "the inverse of its chance; evaluation.json has the figures without that as well."
        if document["weighted"]
        else ""
    )
    words = (
        "Both models on the same payments. "
        * both
        + "The intervals tell how far a figure would move with other cards: cards are drawn again and again, each "
        f"with all of its payments.{note}"
    )
    return section("Champion against candidate" if both else "The figures", words, table(head, rows))


def _gate(document: Document) -> str:
    rows = []
    for check in document["verdict"]["checks"]:
        words, show = BOUNDS[check["name"]]
        rows.append((words, show(check["measured"]), show(check["bound"]), "yes" if check["passed"] else "no"))
    return section(
        "The gate: what was asked, and what was measured",
        "A candidate goes on if it keeps all of these; the first that it does not is the sentence at the top.",
        table(("", "measured", "bound", "kept"), rows),
    )


def _data(document: Document) -> str:
    dataset = document["dataset"]
    rows = [
        (name, f"{part['rows']:,}", f"{part['frauds']:,}", moment(part["window"][0]), moment(part["window"][1]))
        for name, part in dataset["parts"].items()
    ]
    words = (
        f"As known on {moment(dataset['as_of'])}; {len(dataset['features'])} features of set "
        f"{dataset['feature_set']}; fingerprint {dataset['fingerprint'][:12]}."
    )
    seen = [
        f"<p>The {role} was fitted to {document[role]['rows_seen_before']:,} of the payments it is judged on, "
        "which flatters it.</p>"
        for role in roles_of(document)
        if document[role]["rows_seen_before"]
    ]
    return section(
        "What it was learned from, and judged on",
        words,
        "".join(seen) + table(("part", "payments", "frauds", "first", "last"), rows),
    )


def _reading(document: Document) -> str:
    serving = document["serving"]
    return section(
        "How to read this",
        "Precision asks: of what we stop, how much is fraud? Recall asks: of the fraud, how much do we stop? "
        "Average precision puts both into one number, 1 for a perfect ranking and the rate of fraud for guessing. "
        "Blocked payments never get a label, so all of this is about payments like those that were let through. "
        f"An answer with its reasons took {serving['latency_us']:,.0f} microseconds here, and the bundle has "
        f"{serving['bundle_bytes']:,} bytes.",
        "",
    )
