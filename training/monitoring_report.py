"""A look at the lake as a page: one file, for people who answer for models and their data."""

from html import escape

from fraud.monitoring import Figures
from training.charts import Series, lines
from training.drawing import bars
from training.monitoring_document import Distribution, Quality, Report
from training.pages import banner, figures, key, moment, page, percent, plots, section, table
from training.wording import number

__all__ = ["render"]

MOST_BARS = 20


def render(report: Report) -> str:
    """The page, self-contained; the policy's bounds are drawn as lines."""
    sections = [
        _head(report),
        _findings(report),
        _scores(report),
        _features(report),
        _decisions(report),
        _labels(report.quality),
        _slices(report),
        _audit(report),
        _reading(report),
    ]
    return page(_title(report), [each for each in sections if each])


def _title(report: Report) -> str:
    if report.verdict.passed:
        return "The world is as the champion knows it" if report.champion else "Nothing unusual, and no model yet"
    if report.verdict.retrain:
        return "The world is not what the champion learned from"
    return "Something is not as it should be"


def _head(report: Report) -> str:
    told: Figures = report.figures
    where = (
        f"{report.run_id}: {told.decisions:,} decisions recorded from {moment(report.window[0])} to "
        f"{moment(report.window[1])}; the champion is {report.champion or 'not there yet'}."
    )
    facts = [
        ("stability index of its scores", number(told.score_index, 3)),
        ("features have drifted", f"{told.drifted} of {told.features}"),
        ("approved", percent(told.approve)),
        ("challenged", percent(told.challenge)),
        ("AUC on matured labels", number(told.auc, 3)),
        ("calibration error", number(told.calibration_error)),
    ]
    title, good = _title(report), report.verdict.passed
    return banner(title, report.verdict.reason, where, good=good) + figures(facts)


def _findings(report: Report) -> str:
    rows = [
        (
            each.subject,
            "yes" if each.kept and each.judged else "no" if not each.kept else "not judged",
            each.sentence,
            "yes" if each.subject in report.policy.retrain_on and not each.kept else "",
        )
        for each in report.verdict.findings
    ]
    words = (
        "What may be chance, with so few rows, counts as no change. Where the last column says yes, a retraining "
        f"is started, unless one runs or was started for drift in the last {report.policy.cool_down_days:g} days."
    )
    head = ("", "kept", "what was found", "retrains")
    return section("What was looked at", words, table(head, rows, words=(2,)))


def _scores(report: Report) -> str:
    if not report.scores:
        words = "No decision of the window has a score of the champion, or there is nothing to compare it with."
        return section("Scores", words, "")
    drawings = [
        (
            f"Against the {each.against}: index {each.index:.3f}",
            f"{each.rows:,} payments now, {each.rows_before:,} then. By chance it stays below {each.noise:.3f}"
            + (", so this may be chance." if each.index <= each.noise else "."),
            _two(f"Scores now and in the {each.against}", each.bins),
        )
        for each in report.scores
    ]
    words = (
        "The share of payments by score. The evaluation is a fixed point, in equal steps of the score; it lacks "
        "payments without a known truth, such as those declined. The window before is in bins of equally many."
    )
    drawn = plots(drawings)
    if len(drawings) == 1:
        # One alone would fill the page.
        drawn = f'<div style="max-width:500px">{drawn}</div>'
    return section("Scores", words, _key() + drawn)


def _features(report: Report) -> str:
    if not report.features:
        return section("Features", "There are no vectors to compare, or nothing to compare them with.", "")
    bound = report.policy.drifted_from
    shown = sorted(report.features, key=lambda each: (-each.index, each.name))[:MOST_BARS]
    rows = [
        (
            each.name,
            [(each.index, "wrong" if each.drifted else "lag")],
            f"{each.index:.3f}" + ("" if each.index > each.noise else f", noise up to {each.noise:.3f}"),
        )
        for each in shown
    ]
    drawing = bars("Stability index of each feature", rows, names=300, mark=(bound, f"bound of {bound:g}"))
    words = (
        f"The population stability index of each feature against the {_AGAINST[report.features_against]}: 0 where "
        "nothing moved. Counts over long windows grow while a history is young, so some drift is its age. No "
        f"more than {report.policy.maximum_drifted:.0%} of the features may be beyond the line."
    )
    drawn = [
        (
            each.name,
            f"index {each.index:.3f}, missing {each.missing:.1%} (then {each.missing_before:.1%})",
            _two(each.name, each.bins),
        )
        for each in report.features
        if each.bins is not None
    ]
    return (
        section("Features", words, f'<div class="scroll">{drawing}</div>')
        + section("The features that moved most", "Shares of the payments by value.", _key() + plots(drawn))
        + _all_features(report)
    )


_AGAINST = {"training": "rows that the champion learned from", "window before": "window before", "": ""}


def _all_features(report: Report) -> str:
    rows = [
        (
            each.name,
            f"{each.index:.3f}",
            f"{each.noise:.3f}",
            "drifted" if each.drifted else "",
            f"{each.missing:.1%}",
            f"{each.missing_before:.1%}",
            "moved" if each.missing_moved else "",
        )
        for each in report.features
    ]
    head = ("feature", "index", "noise below", "", "missing", "then", "")
    content = f"<details><summary>All {len(rows)} features</summary>{table(head, rows)}</details>"
    return section("Missing values and all features", "", content)


def _decisions(report: Report) -> str:
    if not report.actions:
        return section("Decisions", "There was none in the window.", "")
    rows = [
        (action, percent(share, 2), percent(report.actions_before.get(action), 2))
        for action, share in report.actions.items()
    ]
    by = ", ".join(f"{count:,} by {name or 'no model'}" for name, count in report.deciders.items())
    words = f"{by}; {report.degraded:,} of them were made without state or model."
    return section("Decisions", words, table(("", "this window", "the one before"), rows))


def _labels(told: Quality | None) -> str:
    title = "What became of the payments"
    if told is None:
        return section(title, "No payment that the champion scored is old enough for its label to be known.", "")

    intervals = told.intervals

    def row(words: str, name: str, value: float | None, before: float | None = None) -> tuple[str, ...]:
        reach = intervals.get(name)
        return words, number(value), "" if reach is None else f"{reach[0]:.4f} to {reach[1]:.4f}", number(before)

    factor = told.known / told.expected if told.expected else None
    rows = [
        row("AUC: a fraud scores above a genuine payment", "auc", told.auc, told.auc_evaluated),
        row("average precision", "average_precision", told.average_precision, told.average_precision_evaluated),
        row("calibration error", "calibration_error", told.calibration_error),
        row("known frauds for one expected", "factor", factor),
    ]
    words = (
        f"{told.rows:,} payments whose labels have matured, {told.frauds:,} of them fraud. By weight, the scores "
        f"promised {told.expected:,.1f} frauds, and {told.known:,.1f} became known."
    )
    content = table(("", "now", "95 % interval", "in the evaluation"), rows)
    most = max(0.01, *told.promised, *told.observed)
    drawing = lines(
        "Promised and observed rate of fraud",
        [
            Series("quiet", [(0.0, 0.0), (most, most)]),
            Series("one", list(zip(told.promised, told.observed, strict=True)), joined=False),
        ],
        x=("promised", 0.0, most),
        y=("observed", 0.0, most),
    )
    caption = "On the line: as many frauds as promised. Each point stands for as many payments."
    return section(title, words, content + plots([("Can the probabilities be believed?", caption, drawing)]))


def _slices(report: Report) -> str:
    rows = [
        (
            f"{each.dimension} {each.value}",
            f"{each.decisions:,}",
            percent(each.actions.get("approve")),
            percent(each.actions.get("challenge")),
            percent(each.actions.get("decline")),
            number(each.score),
            number(each.score_before),
            f"{each.matured:,}",
            f"{each.frauds:,}",
            number(each.expected, 1),
            number(each.auc, 3),
        )
        for each in report.slices
    ]
    head = (
        *("", "decisions", "approved", "challenged", "declined", "mean score", "before"),
        *("matured", "frauds", "expected", "AUC"),
    )
    words = "The same in parts, each with its most frequent values; the last four columns are of matured labels."
    return section("Parts", words, table(head, rows)) if rows else ""


def _audit(report: Report) -> str:
    told = report.audit
    examples = f"<p>Such as {escape(', '.join(told.examples))}.</p>" if told.examples else ""
    content = (
        f"<p>{told.looked_at:,} payments have a decision in the days of the lake that were read. "
        f"{told.decided_twice:,} have two different ones, {told.decided_twice_now:,} of them by the window; "
        f"{told.lost:,} were reported on and have none, {told.lost_now:,} of them in the window. "
        f"{told.delivered_again:,} rows came again, as delivery at least once allows.</p>{examples}"
        f'<p>{escape(report.consistency)} (<a href="consistency.html">the whole report</a>).</p>'
    )
    return section("Once, and as it should have been", "", content)


def _reading(report: Report) -> str:
    return section(
        "How to read this",
        "The stability index compares two distributions in bins: below 0.1 is little, above 0.25 is much. By "
        "chance alone it is larger the fewer rows there are, and rows of one card belong together: the noise that "
        f"it stays below, but for one report in {1 / report.policy.chance:,.0f}, is computed from the number of "
        "cards. Labels take their time, so what needs them speaks of payments older than those of the window.",
        "",
    )


def _two(label: str, bins: Distribution) -> str:
    """Shares by bin: those of now as a line, those of then dashed."""
    names = [*(_short(edge) for edge in bins.edges), "above" if bins.edges else "any", "none"]
    top = _ceiling(max(*bins.before, *bins.now))
    series = [
        Series(kind, [(float(place), value) for place, value in enumerate(values)])
        for kind, values in (("two", bins.before), ("one", bins.now))
    ]
    return lines(label, series, x=("up to", 0.0, float(len(names) - 1)), y=("", 0.0, top), names=names)


def _short(value: float) -> str:
    """A number in a few characters: 0.012, 250, 1.2M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.3g}{unit}"
    return f"{value:.2g}" if abs(value) < 1 else f"{value:.4g}"


def _ceiling(share: float) -> float:
    return next((each for each in (0.05, 0.1, 0.2, 0.4, 0.6, 0.8) if share <= each), 1.0)


def _key() -> str:
    return key([("one", "now"), ("two", "then")])
