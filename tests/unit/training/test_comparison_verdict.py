"""What is asked of a model in shadow, with labels and without."""

from typing import Any

import pytest

from fraud.release import ReleasePolicy
from training.comparison_verdict import ShadowVerdict, judge_shadow

WITHOUT_LABELS: dict[str, Any] = {"frauds": 0, "matured": 0, "on_labels": None}


def _judge(
    policy: ReleasePolicy | None = None,
    *,
    gain: float = 0.01,
    saving: float = 500.0,
    kept: tuple[float | None, float | None] = (0.9, 0.9),
    scores: tuple[float, float] = (0.0012, 0.001),
    **changes: Any,
) -> ShadowVerdict:
    difference = {
        "average_precision": {"value": gain, "kept": kept[0]},
        "saved_per_1000": {"value": saving, "kept": kept[1]},
    }
    document = {
        "challenger": "new",
        "champion": "old",
        "seen": 900,
        "decisions": 800,
        "matured": 700,
        "frauds": 30,
        "models": {
            role: {"approve_share": 0.97, "mean_score": score}
            for role, score in zip(("challenger", "champion"), scores, strict=True)
        },
        "on_labels": {"difference": difference},
    }
    return judge_shadow(document | changes, policy or ReleasePolicy())


def _refused(verdict: ShadowVerdict) -> list[str]:
    assert verdict.passed != bool([each for each in verdict.checks if not each.passed])
    return [each.name for each in verdict.checks if not each.passed]


def test_what_ranks_and_saves_no_worse_holds() -> None:
    verdict = _judge()
    assert verdict.passed
    assert verdict.labels is True
    assert "average precision +0.0100, saved per 1,000 payments +5.00, approvals +0.00%" in verdict.reason
    # Two that are the same, as when nothing was to learn.
    assert _judge(gain=0.0, saving=0.0, kept=(1.0, 1.0)).passed


@pytest.mark.parametrize(
    ("changes", "name", "sentence"),
    [
        ({"gain": -0.001}, "minimum_shadow_gain", "below the minimal gain of 0"),
        ({"saving": -101.0}, "minimum_shadow_saving", "saves -1.01 per 1,000 payments against the champion's"),
        ({"kept": (0.49, 0.9)}, "minimum_shadow_confidence", "in only 49% of the resamples by card where 50%"),
        ({"kept": (0.9, 0.49)}, "minimum_shadow_confidence", "in only 49% of the resamples"),
        ({"kept": (None, 0.9)}, "minimum_shadow_confidence", "in only 0% of the resamples"),
        ({"scores": (0.0021, 0.001)}, "maximum_score_factor", "more than a factor of 2 apart"),
        ({"scores": (0.0004, 0.001)}, "maximum_score_factor", "is 0.00040 where the champion's is 0.00100"),
        ({"scores": (0.0, 0.001)}, "maximum_score_factor", "more than a factor of 2 apart"),
    ],
)
def test_each_bound_that_is_not_kept_says_so(changes: dict[str, Any], name: str, sentence: str) -> None:
    verdict = _judge(**changes)
    assert _refused(verdict) == [name]
    assert sentence in verdict.reason


@pytest.mark.parametrize("few", [WITHOUT_LABELS, {"frauds": 29}])
@pytest.mark.parametrize(("unlabelled", "passed", "person"), [("person", True, True), ("pass", True, False)])
def test_without_labels_the_policy_says_who_approves(
    few: dict[str, Any], unlabelled: Any, passed: bool, person: bool
) -> None:
    verdict = _judge(ReleasePolicy(unlabelled=unlabelled), gain=-1.0, **few)
    assert (verdict.passed, verdict.labels) == (passed, False)
    assert ("so a person has to approve" in verdict.reason) is person


def test_without_labels_a_policy_may_stop() -> None:
    verdict = _judge(ReleasePolicy(unlabelled="stop"), **WITHOUT_LABELS)
    assert _refused(verdict) == ["minimum_shadow_frauds"]
    assert "it takes 30 frauds" in verdict.reason


def test_without_labels_the_levels_are_asked_all_the_same() -> None:
    assert _refused(_judge(scores=(0.0, 0.001), **WITHOUT_LABELS)) == ["maximum_score_factor"]
