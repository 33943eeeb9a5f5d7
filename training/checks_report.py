"""The data checks as a page: one file, for people who answer for the model."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from training.checks import FILE, Checks, FeatureCheck
from training.drawing import bars
from training.pages import banner, figures, page, section, table

__all__ = ["render", "write_checks"]

MOST_BARS = 25


def render(checks: Checks) -> str:
    """The page, self-contained; the policy's bounds are drawn as lines."""
    good = checks.verdict.passed
    title = "The dataset is fit to learn from" if good else "Nothing is learned from this dataset"
    facts = [("rows", f"{checks.rows:,}"), ("of them fraud", f"{checks.frauds:,}")]
    if checks.rows:
        facts.append(("fraud rate", f"{checks.frauds / checks.rows:.3%}"))
    if checks.champion_fraud_rate is not None:
        facts.append(("fraud rate of the champion's training data", f"{checks.champion_fraud_rate:.3%}"))
    rows = [(each.name, "yes" if each.passed else "no", each.sentence) for each in checks.checks]
    sections = [
        banner(title, checks.verdict.reason, "", good=good) + figures(facts),
        section("What was looked at", "", table(("check", "passed", "what it found"), rows, words=(2,))),
    ]
    if checks.features:
        sections += [_drift(checks), _leaks(checks), _features(checks.features)]
    return page(title, sections)


def write_checks(folder: Path, checks: Checks) -> None:
    """Write checks.json and checks.html."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(checks), indent=2) + b"\n")
    (folder / "checks.html").write_text(render(checks), encoding="utf-8")


def _drift(checks: Checks) -> str:
    compared = [each for each in checks.features if each.stability_index is not None]
    if not compared:
        return section("Drift", "There is no champion with a profile of its training data to compare with.", "")
    drawing = _bars(
        "Stability index of each feature",
        compared,
        lambda each: each.stability_index or 0.0,
        checks.policy.drifted_from,
    )
    words = (
        "The population stability index of each feature against the rows that the champion learned from: 0 where "
        "nothing moved. Counts over a long window grow while a history is young, so some drift is the history's "
        f"age. No more than {checks.policy.maximum_drifted:.0%} of the features may be beyond the line."
    )
    return section("Drift", words, drawing)


def _leaks(checks: Checks) -> str:
    drawing = _bars(
        "AUC of each feature alone",
        checks.features,
        lambda each: each.single_auc,
        checks.policy.maximum_single_auc,
        origin=0.5,
    )
    words = (
        "How well each feature alone tells fraud from genuine. The bars begin at 0.5, which is guessing. One "
        "beyond the line would be too good to be true, such as a field that is filled in after a dispute."
    )
    return section("What each feature tells alone", words, drawing)


def _bars(
    label: str,
    features: Sequence[FeatureCheck],
    value: Callable[[FeatureCheck], float],
    bound: float,
    *,
    origin: float = 0.0,
) -> str:
    shown = sorted(features, key=lambda each: (-value(each), each.name))[:MOST_BARS]
    rows = [
        (each.name, [(value(each) - origin, "wrong" if value(each) > bound else "lag")], f"{value(each):.3f}")
        for each in shown
    ]
    return (
        f'<div class="scroll">{bars(label, rows, names=300, mark=(bound - origin, f"bound of {bound:g}"))}</div>'
    )


def _features(features: Sequence[FeatureCheck]) -> str:
    rows = [
        (
            each.name,
            f"{each.missing:.1%}",
            "" if each.missing_before is None else f"{each.missing_before:.1%}",
            "always missing" if each.missing == 1 else "constant" if each.constant else "",
            f"{each.single_auc:.3f}",
            "" if each.stability_index is None else f"{each.stability_index:.3f}",
        )
        for each in features
    ]
    head = ("feature", "missing", "before", "note", "AUC alone", "stability index")
    return section("All features", "Of the train part.", table(head, rows))
