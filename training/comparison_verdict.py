"""Whether a model in shadow may go on: pure data in, a verdict with its reason out."""

from typing import Any

from fraud.release import ReleasePolicy
from training.gate import Check, CheckedVerdict, check, first_failure, times_apart
from training.wording import money

__all__ = ["ShadowVerdict", "judge_shadow"]

type Document = dict[str, Any]


class ShadowVerdict(CheckedVerdict, frozen=True, kw_only=True):
    """The verdict on a model in shadow.

    Attributes
    ----------
    labels : bool
        Whether enough was known of what became of the payments to compare rankings and money. Where it was not,
        the policy's `unlabelled` says who has to approve.
    """

    labels: bool


def judge_shadow(document: Document, policy: ReleasePolicy) -> ShadowVerdict:
    """Judge a comparison.json without its verdict; the first bound that is not kept is the sentence."""
    seen = (
        f"{document['decisions']:,} decisions scored by {document['challenger']} and champion "
        f"{document['champion']}, {document['matured']:,} of them old enough to be known, with "
        f"{document['frauds']:,} frauds"
    )
    if not document["decisions"]:
        reason = (
            f"Not released: none of {document['seen']:,} decisions since the shadow began carries the scores of "
            f"both {document['challenger']} and champion {document['champion']}; check that the challenger loads, "
            "in the log of score_transaction."
        )
        return ShadowVerdict(passed=False, reason=reason, checks=(), labels=False)
    enough = document["on_labels"] is not None and document["frauds"] >= policy.minimum_shadow_frauds
    known = _on_labels(document["on_labels"]["difference"], policy) if enough else _unlabelled(document, policy)
    checks = (*known, *_levels(document, policy))
    if failure := first_failure(checks):
        reason = f"Not released: {failure}, on {seen}."
        return ShadowVerdict(passed=False, reason=reason, checks=checks, labels=enough)
    reason = f"Holds in shadow: {_told(document, enough=enough)}, on {seen}{'' if enough else _few(policy)}."
    return ShadowVerdict(passed=True, reason=reason, checks=checks, labels=enough)


def _on_labels(difference: Document, policy: ReleasePolicy) -> tuple[Check, ...]:
    """Ranking and money, on what became of the payments."""
    gain, saving = difference["average_precision"], difference["saved_per_1000"]
    # Where no resample could tell, nothing is sure.
    kept = min(each["kept"] or 0.0 for each in (gain, saving))
    return (
        check(
            "minimum_shadow_gain",
            gain["value"],
            policy.minimum_shadow_gain,
            f"its average precision is {gain['value']:+.4f} against the champion's, below the minimal gain of "
            f"{policy.minimum_shadow_gain:g}",
            passed=gain["value"] >= policy.minimum_shadow_gain,
        ),
        check(
            "minimum_shadow_saving",
            saving["value"],
            policy.minimum_shadow_saving,
            f"by its scores the policy saves {money(saving['value'], sign=True)} per 1,000 payments against the "
            f"champion's, where {money(policy.minimum_shadow_saving, sign=True)} is the least",
            passed=saving["value"] >= policy.minimum_shadow_saving,
        ),
        check(
            "minimum_shadow_confidence",
            kept,
            policy.minimum_shadow_confidence,
            f"it keeps the bounds on ranking and money in only {kept:.0%} of the resamples by card where "
            f"{policy.minimum_shadow_confidence:.0%} are needed",
            passed=kept >= policy.minimum_shadow_confidence,
        ),
    )


def _unlabelled(document: Document, policy: ReleasePolicy) -> tuple[Check, ...]:
    if policy.unlabelled != "stop":
        return ()
    return (
        check(
            "minimum_shadow_frauds",
            document["frauds"],
            policy.minimum_shadow_frauds,
            f"it takes {policy.minimum_shadow_frauds} frauds, and genuine payments, old enough to be known to "
            "compare rankings, without which its policy lets nothing go on; make the shadow longer than that age",
            passed=False,
        ),
    )


def _levels(document: Document, policy: ReleasePolicy) -> tuple[Check, ...]:
    """What needs no labels: how many payments would be approved, and how high the scores are."""
    challenger, champion = (document["models"][role] for role in ("challenger", "champion"))
    approval = abs(challenger["approve_share"] - champion["approve_share"])
    score = abs(challenger["mean_score"] - champion["mean_score"])
    factor = times_apart(challenger["mean_score"], champion["mean_score"])
    means = (
        f"its mean score is {challenger['mean_score']:.5f} where the champion's is {champion['mean_score']:.5f}, "
        "more than"
    )
    return (
        check(
            "maximum_approval_change",
            approval,
            policy.maximum_approval_change,
            f"it would approve {challenger['approve_share']:.2%} of the payments where the champion approves "
            f"{champion['approve_share']:.2%}, which is more than {policy.maximum_approval_change:.2%} apart",
            passed=approval <= policy.maximum_approval_change,
        ),
        check(
            "maximum_score_change",
            score,
            policy.maximum_score_change,
            f"{means} {policy.maximum_score_change:g} apart",
            passed=score <= policy.maximum_score_change,
        ),
        check(
            "maximum_score_factor",
            factor,
            policy.maximum_score_factor,
            f"{means} a factor of {policy.maximum_score_factor:g} apart",
            passed=factor <= policy.maximum_score_factor,
        ),
    )


def _told(document: Document, *, enough: bool) -> str:
    challenger, champion = (document["models"][role] for role in ("challenger", "champion"))
    told = [
        f"approvals {challenger['approve_share'] - champion['approve_share']:+.2%}",
        f"mean score {challenger['mean_score'] - champion['mean_score']:+.5f}",
    ]
    if enough:
        gained = {name: each["value"] for name, each in document["on_labels"]["difference"].items()}
        told = [
            f"average precision {gained['average_precision']:+.4f}",
            f"saved per 1,000 payments {money(gained['saved_per_1000'], sign=True)}",
            *told,
        ]
    return ", ".join(told)


def _few(policy: ReleasePolicy) -> str:
    few = f"; too few of them to compare rankings, which takes {policy.minimum_shadow_frauds}"
    return f"{few}, so a person has to approve" if policy.unlabelled == "person" else few
