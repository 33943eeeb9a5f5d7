"""Objectives and burn rates: the arithmetic, and that the alarms ask CloudWatch exactly it."""

import json
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from infra.alarms import KINDS
from infra.slos import BURNS, SLOS, Burn, Slo

MONTH = 30 * 24 * 3_600
CALLS = st.integers(0, 10**9)
SLO = st.sampled_from(list(SLOS.values()))


@pytest.mark.parametrize(("name", "share"), [("fast", 0.02), ("slow", 0.05), ("steady", 0.10)])
def test_a_burn_is_what_part_of_the_months_allowance_its_long_window_uses_up(name: str, share: float) -> None:
    (burn,) = [each for each in BURNS if each.name == name]
    assert burn.rate * burn.long / MONTH == pytest.approx(share)
    assert burn.short * 12 == burn.long


@pytest.mark.parametrize("slo", SLOS.values(), ids=SLOS)
def test_every_burn_of_an_objective_has_a_kind_of_alarm(slo: Slo) -> None:
    assert {f"{slo.name}-{each.name}" for each in slo.burns} == {
        each for each in KINDS if each.startswith(slo.name)
    }
    for burn in slo.burns:
        kind = KINDS[f"{slo.name}-{burn.name}"]
        assert kind.runbook == slo.name
        assert (kind.severity == "page") == (slo.pages and burn.name != "steady")
        assert burn.rate * slo.allowance < 1, "no outage could ever trip it"
    assert Fraction(str(slo.objective)) + Fraction(str(slo.allowance)) == 1


def burning(slo: Slo, burn: Burn, long: tuple[int, int], short: tuple[int, int]) -> bool:
    """Whether an alarm should be on, by what was bad and what there was in all, in each of its windows."""
    shares = [bad / total if total else 0.0 for bad, total in (long, short)]
    return long[0] >= slo.least and all(share >= burn.rate * slo.allowance for share in shares)


def outage(burn: Burn, *, bad: int, per_minute: int, minutes: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """What was bad and what there was in all in each window, at the end of an outage of `minutes`."""

    def window(seconds: int) -> tuple[int, int]:
        return bad * min(minutes, seconds // 60), per_minute * (seconds // 60)

    return window(burn.long), window(burn.short)


@given(slo=SLO, per_minute=st.integers(1, 100_000), percent=st.integers(0, 100), minutes=st.integers(0, 48 * 60))
@example(slo=SLOS["decision-availability"], per_minute=1_000, percent=100, minutes=1)
@example(slo=SLOS["decision-latency"], per_minute=1_000, percent=20, minutes=60)
def test_an_outage_trips_the_burns_whose_allowance_it_uses_up(
    slo: Slo, per_minute: int, percent: int, minutes: int
) -> None:
    """In exact fractions: x % of the calls bad for y minutes, against rate x allowance in both windows."""
    bad = per_minute * percent // 100
    allowance = 1 - Fraction(str(slo.objective))
    for burn in slo.burns:
        limit = Fraction(str(burn.rate)) * allowance
        long, short = outage(burn, bad=bad, per_minute=per_minute, minutes=minutes)
        shares = [Fraction(*each) for each in (long, short)]
        # To the last bit a comparison of floats may go either way at the limit itself.
        assume(all(abs(share - limit) > Fraction(1, 10**12) for share in shares))
        expected = long[0] >= slo.least and all(share > limit for share in shares)
        assert burning(slo, burn, long, short) == expected


@given(slo=SLO, total=st.integers(0, 100), bad=st.integers(0, 9))
def test_a_few_bad_calls_of_a_quiet_night_wake_nobody(slo: Slo, total: int, bad: int) -> None:
    assume(bad <= total)
    assert not any(burning(slo, burn, (bad, total), (bad, total)) for burn in slo.burns)


@given(slo=SLO, long=st.tuples(CALLS, CALLS), short=st.tuples(CALLS, CALLS))
def test_what_burns_quickly_burns_slowly_too(slo: Slo, long: tuple[int, int], short: tuple[int, int]) -> None:
    assume(long[0] <= long[1] and short[0] <= short[1])
    on = [burning(slo, burn, long, short) for burn in sorted(BURNS, key=lambda each: each.rate)]
    assert on == sorted(on, reverse=True)


@given(
    slo=SLO,
    burn=st.sampled_from(BURNS),
    total=st.integers(1, 10**6),
    bad=st.integers(0, 10**6),
)
def test_the_alarms_ask_the_same_of_cloudwatch(
    platform: Callable[[str], Any], slo: Slo, burn: Burn, total: int, bad: int
) -> None:
    """The text of the metric math, computed: in full, as CloudWatch would from the window's metrics."""
    assume(bad <= total and burn in slo.burns)
    limit = Fraction(str(burn.rate)) * (1 - Fraction(str(slo.objective)))
    assume(abs(Fraction(bad, total) - limit) > Fraction(1, 10**9))
    on = {}
    for which, seconds in (("long", burn.long), ("short", burn.short)):
        alarm = alarms(platform)[f"paywarden-prod-{slo.name}-{burn.name}-{which}"]
        assert alarm["Threshold"] == pytest.approx(float(limit), abs=1e-12)
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each} == {seconds}
        (text,) = [each["Expression"] for each in alarm["Metrics"] if each["ReturnData"]]
        ids = {"bad": bad, "total": total, "good": 100 * (total - bad) / total}
        on[which] = computed(text, ids) >= alarm["Threshold"]
    assert (on["long"] and on["short"]) == burning(slo, burn, (bad, total), (bad, total))


def computed(text: str, ids: dict[str, float]) -> float:
    """An expression of the kind that the alarms use, which Python reads alike but for IF."""
    assert re.fullmatch(r"(IF|bad|good|total|[\d.]+|[-+*/()>,\s])+", text), text
    value = eval(text, {"__builtins__": {}}, {"IF": lambda test, yes, no: yes if test else no, **ids})  # noqa: S307 - our own template's text, matched above
    return float(value)


def alarms(platform: Callable[[str], Any]) -> dict[str, dict[str, Any]]:
    found = platform("prod")
    if not hasattr(alarms, "made"):
        alarms.made = {  # type: ignore[attr-defined]  # read once: hypothesis asks a hundred times
            each["Properties"]["AlarmName"]: each["Properties"]
            for each in found.resources("monitoring", "AWS::CloudWatch::Alarm").values()
        }
    return alarms.made  # type: ignore[attr-defined,no-any-return]  # as above


def test_a_burn_tells_people_only_if_both_windows_burn(platform: Callable[[str], Any]) -> None:
    found = platform("prod")
    made = found.resources("monitoring", "AWS::CloudWatch::Alarm")
    composites = found.resources("monitoring", "AWS::CloudWatch::CompositeAlarm").values()
    assert len(composites) == sum(len(slo.burns) for slo in SLOS.values())
    for each in composites:
        name, pieces = each["Properties"]["AlarmName"], each["Properties"]["AlarmRule"]["Fn::Join"][1]
        rule = "".join(
            piece if isinstance(piece, str) else made[piece["Fn::GetAtt"][0]]["Properties"]["AlarmName"]
            for piece in pieces
        )
        assert rule == f'(ALARM("{name}-long") AND ALARM("{name}-short"))'


def test_the_objectives_look_at_what_they_say(platform: Callable[[str], Any]) -> None:
    looked = {
        name: {
            (
                metric["Namespace"],
                metric["MetricName"],
                json.dumps(metric["Dimensions"]),
                each["MetricStat"]["Stat"],
            )
            for each in alarm["Metrics"]
            if "MetricStat" in each
            for metric in [each["MetricStat"]["Metric"]]
        }
        for name, alarm in alarms(platform).items()
        if name.endswith("-long")
    }
    for slo in SLOS.values():
        for burn in slo.burns:
            found = looked[f"paywarden-prod-{slo.name}-{burn.name}-long"]
            if slo.within is None:
                assert {each[1] for each in found} == {"5XXError", "Count", "Batched", "FailedInBatch"}
                paths = {(each[1], path) for each in found for path in re.findall(r'"(/v1/[^"]*)"', each[2])}
                assert paths == {
                    ("Count", "/v1/decisions"),
                    ("5XXError", "/v1/decisions"),
                    ("5XXError", "/v1/decisions/batch"),
                }, "decisions, and no other call"
            else:
                assert {each[3] for each in found} == {f"PR(:{slo.within:g})", "SampleCount"}
    assert all('"/v1/decisions"' in each[2] for each in looked["paywarden-prod-decision-latency-fast-long"])
