"""The report's chapters with figures: traffic, decisions, times, models."""

from datetime import UTC, datetime, timedelta
from statistics import median

from ops.demo import plots
from ops.demo.model import ModelFigures, Report, Velocity
from ops.demo.overview import milliseconds
from ops.demo.page import section
from ops.markup import Markup, figure, join, table, tag
from ops.times import shown

__all__ = ["decisions", "learning", "life", "models", "speed"]

_COLOURS = {"approve": "green", "challenge": "sky", "review": "amber", "decline": "red"}
_STORY = 60


def life(report: Report) -> Markup:
    """What happened in the generated world, and the story of one card in it."""
    rows, traffic = report.timeline, report.traffic
    called = (
        f"{traffic.get('history_rows', 0):,} payments were imported as history; {traffic.get('payments', 0):,} "
        f"more and {traffic.get('labels', 0):,} labels came by HTTP, and "
        f"{traffic.get('repeats', 0):,} payments came twice."
    )
    content = [tag("p", called)]
    if rows:
        payments, frauds = (sum(int(day[key]) for day in rows) for key in ("payments", "frauds"))
        title = f"{payments:,} payments in {len(rows)} virtual days, {frauds:,} of them fraud"
        note = (
            "Frauds are the truth of the generated world, which nobody knew at the time; what was declined or "
            "sent to review may be fraud or not."
        )
        content.append(figure(title, plots.traffic(title, rows, _marks(report)), note, wide=True))
    else:
        content.append(tag("p", "No traffic was replayed.", class_="quiet"))
    if report.velocity:
        content.append(_velocity(report.velocity))
    return section("Traffic", *content)


def _marks(report: Report) -> list[plots.Mark]:
    """Until when the last model learned, and since when it serves: it made the last of the decisions."""
    if not report.models:
        return []
    last, days = report.models[-1], report.timeline
    starts = [datetime.fromisoformat(str(day["day"])).replace(tzinfo=UTC) for day in days]
    learned = (datetime.fromtimestamp(last.trained_until / 1_000, UTC) - starts[0]) / timedelta(days=1)
    marks: list[plots.Mark] = []
    if 0 < learned <= (starts[-1] - starts[0]).days:
        marks.append((learned, f"the {last.role} learned up to here", "right"))
    before = sum(int(day["payments"]) for day in days) - report.decisions_by_model.get(last.version, 0)
    for start, day in zip(starts, days, strict=True):
        payments = int(day["payments"])
        if 0 < before < payments:
            marks.append(
                ((start - starts[0]).days + before / payments, f"the {last.role} serves from here", "left")
            )
        before -= payments
    return marks


def _velocity(whole: list[Velocity]) -> Markup:
    busiest = max(range(len(whole)), key=lambda at: whole[at].count_24h)
    start = max(0, min(busiest - _STORY // 2, len(whole) - _STORY))
    story = whole[start : start + _STORY]
    peak = max(each.count_24h for each in story)
    title = f"Each answer has counted the card's payments to this merchant before it: up to {peak:.0f} in 24 hours"
    note = (
        "Successive answers about one card at one merchant. A gap lets the count fall, since the window moves on."
    )
    rows = [
        (
            shown(each.at),
            f"{each.amount:,}",
            f"{each.count_24h:.0f}",
            each.decision,
        )
        for each in story
    ]
    answers = table(
        ("evaluated at (UTC)", "amount, minor units", "in 24 hours", "decision"),
        rows,
        caption="Payments counted, answer by answer",
        numeric=(1, 2),
    )
    details = tag("details", tag("summary", "The answers as a table"), answers)
    return join((figure(title, plots.velocity(title, story), note, wide=True), details))


def decisions(report: Report) -> Markup:
    """How many decisions of each kind, and by which model."""
    if not report.decisions:
        return section("Decisions", tag("p", "No decision was made.", class_="quiet"))
    whole = sum(report.decisions.values())
    known = [kind for kind in _COLOURS if kind in report.decisions]
    kinds = known + sorted(report.decisions.keys() - _COLOURS.keys())
    most = max(report.decisions.values())
    rows = [
        (
            kind,
            f"{report.decisions[kind]:,}",
            f"{100 * report.decisions[kind] / whole:.1f} %",
            tag(
                "span",
                class_="bar",
                style=f"width: {100 * report.decisions[kind] / most:.1f}%; "
                f"background: var(--{_COLOURS.get(kind, 'muted')})",
            ),
        )
        for kind in kinds
    ]
    by_kind = table(("decision", "payments", "share", ""), rows, caption="Decisions by kind", numeric=(1, 2))
    roles = {model.version: model.role for model in report.models}
    made = [
        (roles.get(version, "another model"), tag("code", version), f"{count:,}")
        for version, count in report.decisions_by_model.items()
    ]
    by_model = table(("model", "version", "payments"), made, caption="Decisions by model", numeric=(2,))
    return section("Decisions", by_kind, *([by_model] if made else []))


def speed(report: Report) -> Markup:
    """How long answers took and when features knew of them, with what that says about AWS."""
    warning = tag(
        "p",
        "This is an emulator on one machine: only the time of our own code says anything about AWS. The rest is "
        "the emulator's gateway, function workers and tables, and is shown so that nothing is hidden.",
    )
    content = [warning]
    if report.latency:
        rows = [
            (name, _whose(name), *map(milliseconds, (each.p50, each.p95, each.p99, each.worst)), f"{each.count:,}")
            for name, each in report.latency.items()
        ]
        head = ("time of a decision", "whose", "median", "p95", "p99", "slowest", "decisions")
        content.append(table(head, rows, caption="A decision, by where its time went", numeric=range(2, 7)))
        own, call = report.latency.get("our own code"), report.latency.get("whole call")
        title = (
            f"Our own code takes {milliseconds(own.p50)} of a call of {milliseconds(call.p50)} (medians); the "
            "emulator takes the rest"
            if own and call and own.p50 < call.p50
            else "How long decisions took"
        )
        note = (
            "Blue is ours, grey the emulator or both. Below: dot, median; thick line, to p99 with a stroke at "
            "p95; thin line, to the slowest."
        )
        content.append(figure(title, plots.latency(title, report.samples, report.latency), note, wide=True))
    else:
        content.append(tag("p", "No decision was timed.", class_="quiet"))
    if lags := report.samples.get("freshness"):
        fresh = report.freshness
        title = f"Half of all events are in the features {milliseconds(fresh.p50)} after they were recorded"
        note = (
            f"From the write of a decision or label to its fold into the features, through stream, bus and queue, "
            f"{fresh.count:,} events; 99 % within {milliseconds(fresh.p99)}, all within "
            f"{milliseconds(fresh.worst)}. Emulated services: expect other times on AWS."
        )
        content.append(figure(title, plots.freshness(title, lags, fresh), note, wide=True))
    return section("Speed and freshness", *content)


def _whose(name: str) -> str:
    return {"our own code": "ours", "whole call": "both"}.get(name, "emulator")


def models(report: Report) -> Markup:
    """Both models on later payments."""
    if not report.models:
        return section("Models", tag("p", "No model was judged.", class_="quiet"))
    chance = report.later_frauds / report.later_rows if report.later_rows else 0.0
    rows = [
        (
            model.role,
            tag("code", model.version),
            f"{datetime.fromtimestamp(model.trained_until / 1_000, UTC):%Y-%m-%d}",
            f"{model.auc:.3f}",
            f"{model.average_precision:.3f}",
        )
        for model in report.models
    ]
    figures = table(
        ("model", "version", "learned up to", "AUC", "average precision"),
        rows,
        caption=f"On {report.later_rows:,} later payments, {report.later_frauds:,} of them fraud",
        numeric=(3, 4),
    )
    note = tag(
        "p",
        f"Chance would give an AUC of 0.5 and an average precision of {chance:.3f}, the share of fraud. Neither "
        "model knew any of these payments.",
        class_="quiet",
    )
    curve = _comparison(report.models)
    spread = _medians(report.models[-1])
    drawn = tag(
        "div",
        figure(
            curve,
            plots.precision_recall(curve, report.models, chance),
            "Further up and to the right is better: more of the frauds found, fewer false alarms.",
        ),
        figure(
            spread,
            plots.scores(spread, report.models),
            "How the scores of each kind of payment are spread: the less red and grey overlap, the better.",
        ),
        class_="plots",
    )
    return section("Models on later payments", figures, note, drawn)


def _comparison(found: list[ModelFigures]) -> str:
    first, last = found[0], found[-1]
    if len(found) < 2 or last.average_precision == first.average_precision:
        return "How many frauds are found, and how often an alarm is right"
    better = "above" if last.average_precision > first.average_precision else "below"
    return (
        f"The {last.role} lies {better} the {first.role}: average precision {last.average_precision:.2f} against "
        f"{first.average_precision:.2f}"
    )


def _medians(found: ModelFigures) -> str:
    if not found.scores_fraud or not found.scores_genuine:
        return "How each model scores the later payments"
    fraud, genuine = median(found.scores_fraud), median(found.scores_genuine)
    return f"To the {found.role} the median fraud scores {fraud:.2f}, the median genuine payment {genuine:.2f}"


def learning(report: Report) -> Markup:
    """What the workflow did, and what its gate said."""
    content: list[Markup] = []
    if report.workflow:
        longest = max(report.workflow, key=lambda each: float(each["seconds"]))
        title = f"The longest state of a run is {longest['state']}, with up to {float(longest['seconds']):.1f} s"
        content.append(
            figure(
                title,
                plots.workflow(title, report.workflow),
                "The states of the Step Functions workflow, one after the other. The jobs run here as processes "
                "of this machine; on AWS, SageMaker adds minutes to start each.",
                wide=True,
            )
        )
    else:
        content.append(tag("p", "The workflow was not run.", class_="quiet"))
    if report.verdicts:
        content.append(tag("h3", "What the gate said, run by run"))
        content += [tag("blockquote", verdict) for verdict in report.verdicts]
    return section("From the lake to a new champion", *content)
