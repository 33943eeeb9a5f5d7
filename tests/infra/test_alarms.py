"""Every alarm is of the catalogue: it says how bad it is, whose it is and what to do, and tells whom it should."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fraud.measures import MEASURES, namespace
from fraud.monitoring import Figures
from fraud.monitoring_verdict import judge
from infra.alarms import KINDS, AlarmKind, kind_of, name_of, tells
from infra.constructs.release_alarms import rollback_alarms
from infra.environments import ENVIRONMENTS, PROD
from infra.observability.bounds import bounds

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("data", "features", "scoring", "training", "monitoring")
METRIC, COMPOSITE = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"
WEEK, DAY, HOUR = 7 * 24 * 3_600, 24 * 3_600, 3_600


def alarms(synthesized: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Part, type and properties of each alarm."""
    for part in PARTS:
        for type_ in (METRIC, COMPOSITE):
            for each in synthesized.resources(part, type_).values():
                yield part, type_, each["Properties"]


def halves(synthesized: Any) -> set[str]:
    """The names of the alarms that a composite one is made of."""
    found = set()
    for part in PARTS:
        made = synthesized.resources(part, METRIC)
        for each in synthesized.resources(part, COMPOSITE).values():
            rule = json.dumps(each["Properties"]["AlarmRule"])
            found |= {alarm["Properties"]["AlarmName"] for key, alarm in made.items() if f'"{key}"' in rule}
    return found


def kind(name: str, environment: str) -> AlarmKind:
    found = kind_of(name, prefix=ENVIRONMENTS[environment].prefix)
    assert found, f"{name}: no kind of infra.alarms"
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_alarm_is_of_a_kind_and_says_what_to_do(platform: Callable[[str], Any], environment: str) -> None:
    names = []
    for _, _, each in alarms(platform(environment)):
        found = kind(each["AlarmName"], environment)
        told = each["AlarmDescription"]
        assert told.endswith(
            f"Severity: {found.severity}. Owner: {found.owner}. Runbook: docs/runbooks/{found.runbook}.md"
        )
        assert found.means.removesuffix(".") in told
        assert (ROOT / f"docs/runbooks/{found.runbook}.md").is_file()
        names.append(each["AlarmName"])
    assert len(names) == len(set(names)) > 50


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_alarm_tells_those_that_its_severity_says(platform: Callable[[str], Any], environment: str) -> None:
    found = platform(environment)
    silent = halves(found)
    for _, _, each in alarms(found):
        actions = [each.get(key) for key in ("AlarmActions", "OKActions")]
        severity = kind(each["AlarmName"], environment).severity
        if each["AlarmName"] in silent or severity == "none":
            assert actions == [None, None], "only both halves together tell somebody"
            continue
        assert "InsufficientDataActions" not in each
        # A new alarm's first state is OK: that wakes nobody.
        for topic, action in zip(({"page": "pages"}.get(severity, "tickets"), "tickets"), actions, strict=True):
            other = {"pages": "tickets", "tickets": "pages"}[topic]
            assert len(action or ()) == 1
            assert f"Ref{topic}" in json.dumps(action) or f'"Ref": "{topic}' in json.dumps(action)
            assert f"Ref{other}" not in json.dumps(action)


def test_every_kind_has_an_alarm_in_production(platform: Callable[[str], Any]) -> None:
    prod = platform("prod")
    silent = halves(prod)
    made = {kind(each["AlarmName"], "prod").name for _, _, each in alarms(prod) if each["AlarmName"] not in silent}
    assert sorted(set(KINDS) - made) == []


@pytest.mark.parametrize("environment", ["local", "dev", "staging"])
def test_other_environments_lack_only_what_their_capabilities_leave_out(
    platform: Callable[[str], Any], environment: str
) -> None:
    def kinds(name: str) -> set[str]:
        return {kind(each["AlarmName"], name).name for _, _, each in alarms(platform(name))}

    lacking = kinds("prod") - kinds(environment)
    assert lacking == (set() if ENVIRONMENTS[environment].capabilities.schedules else {"monitoring-missing"})


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_alarms_look_at_metrics_that_are_counted(platform: Callable[[str], Any], environment: str) -> None:
    looked = 0
    for _, type_, each in alarms(platform(environment)):
        if type_ == COMPOSITE:
            continue
        stats = [query["MetricStat"]["Metric"] for query in each.get("Metrics", ()) if "MetricStat" in query]
        for metric in stats or [each]:
            if metric["Namespace"] != namespace(environment):
                assert metric["Namespace"].startswith("AWS/")
                continue
            (dimension,) = metric["Dimensions"]
            assert dimension["Name"] == "service"
            assert dimension["Value"] in MEASURES[metric["MetricName"]].of
            looked += 1
    assert looked >= 15


@pytest.mark.parametrize("environment", ["local", "prod"])
def test_cloudwatch_takes_the_periods(platform: Callable[[str], Any], environment: str) -> None:
    """All periods are a day at most, or a week if each is an hour or longer; and one math has one period."""
    for _, type_, each in alarms(platform(environment)):
        if type_ == COMPOSITE:
            continue
        queries = [query for query in each.get("Metrics", ()) if "MetricStat" in query]
        periods = {query["MetricStat"]["Period"] for query in queries} or {each["Period"]}
        (period,) = periods
        assert period % 60 == 0
        assert period * each["EvaluationPeriods"] <= (WEEK if period >= HOUR else DAY), each["AlarmName"]
        assert each.get("DatapointsToAlarm", 1) <= each["EvaluationPeriods"]
        assert len([query for query in each.get("Metrics", ()) if query["ReturnData"]]) == bool(queries)
        assert len(queries) <= 10, "as many as an alarm takes"
        expressions = [query["Expression"] for query in each.get("Metrics", ()) if "Expression" in query]
        used = set(re.findall(r"\b[a-z]\w*", " ".join(expressions)))
        assert used == {query["Id"] for query in each.get("Metrics", ()) if not query["ReturnData"]}


def test_a_report_that_comes_once_a_day_keeps_its_alarm_until_the_next_one(platform: Callable[[str], Any]) -> None:
    daily = {
        each["AlarmName"]: each["TreatMissingData"]
        for _, _, each in alarms(platform("prod"))
        if {"Name": "service", "Value": "watch_drift"} in each.get("Dimensions", ())
    }
    assert set(daily.values()) == {"ignore"}
    assert len(daily) >= 6


def test_the_alarms_of_a_report_have_the_bounds_of_its_verdict(platform: Callable[[str], Any]) -> None:
    bound = {each.measure: each.most for each in bounds(PROD.monitoring_policy)}
    made = {
        each["MetricName"]: (each["Threshold"], each["ComparisonOperator"], each["Statistic"])
        for _, _, each in alarms(platform("prod"))
        if each.get("MetricName") in bound
    }
    assert made == {name: (most, "GreaterThanThreshold", "Maximum") for name, most in bound.items()}
    assert bound["LabelSilence"] == 3 * DAY
    kept = Figures(label_silence=bound["LabelSilence"], decided_twice=int(bound["ExactlyOnceViolations"]))
    assert judge(kept, PROD.monitoring_policy).passed, "the bound itself is kept"


def test_the_alarms_that_send_a_model_back_have_the_names_that_are_asked_for(
    platform: Callable[[str], Any],
) -> None:
    made = {each["AlarmName"] for _, _, each in alarms(platform("prod"))}
    assert len(rollback_alarms(PROD)) == 5
    assert set(rollback_alarms(PROD)) < made


def test_only_halves_and_what_sends_a_model_back_tell_nobody(platform: Callable[[str], Any]) -> None:
    prod = platform("prod")
    silent = {each["AlarmName"] for _, _, each in alarms(prod) if not tells(each["AlarmName"], prefix=PROD.prefix)}
    assert silent == halves(prod) | set(rollback_alarms(PROD))
    assert len(halves(prod)) == 20


def test_a_name_tells_its_kind() -> None:
    for each in KINDS.values():
        assert (
            kind_of(name_of(each.name, prefix="paywarden-prod", of="score_transaction"), prefix="paywarden-prod")
            == each
        )
        assert kind_of(name_of(each.name, prefix="paywarden-prod"), prefix="paywarden-prod") == each
    assert kind_of("paywarden-prod-nothing", prefix="paywarden-prod") is None
    assert kind_of("paywarden-dev-exactly-once", prefix="paywarden-prod") is None
    assert kind_of("exactly-once", prefix="paywarden-prod") is None
    with pytest.raises(KeyError):
        name_of("nothing", prefix="paywarden-prod")


def test_few_things_wake_people() -> None:
    """What merchants feel, and what a person has to save before it is lost; all else waits for the day."""
    assert sorted(each.name for each in KINDS.values() if each.severity == "page") == [
        "audit-altered",
        "decision-availability-fast",
        "decision-availability-slow",
        "decision-latency-fast",
        "decision-latency-slow",
        "degraded-decisions",
        "exactly-once",
        "feature-freshness-fast",
        "feature-freshness-slow",
        "relay-behind",
        "relay-stopped",
        "undelivered",
        "unrelayed",
        "unwithdrawn",
        "updates-behind",
        "updates-stopped",
    ]


def test_the_objectives_page_says_how_many_there_are_and_what_they_cost(platform: Callable[[str], Any]) -> None:
    made = list(alarms(platform("prod")))
    metric = [each for _, type_, each in made if type_ == METRIC]
    watched = sum(
        len([query for query in each.get("Metrics", ()) if "MetricStat" in query]) or 1 for each in metric
    )
    composite = len(made) - len(metric)
    text = (ROOT / "docs/slos.md").read_text()
    assert f"Production has {len(metric)} alarms on {watched} metrics" in text
    assert f"and {composite} composite alarms" in text
    assert f"that is {0.1 * watched + 0.5 * composite:.2f} USD a month" in text
    pages = sum(kind.severity == "page" for kind in KINDS.values())
    assert f"Of the kinds of alarm {pages} are pages" in text


def test_both_topics_are_for_cloudwatch_and_refuse_plain_http(platform: Callable[[str], Any]) -> None:
    prod = platform("prod")
    topics = set(prod.resources("data", "AWS::SNS::Topic"))
    assert len(topics) == 2
    policies = prod.resources("data", "AWS::SNS::TopicPolicy").values()
    allowed, refused = set(), set()
    for each in policies:
        for statement in each["Properties"]["PolicyDocument"]["Statement"]:
            topic = statement["Resource"]["Ref"]
            if statement["Effect"] == "Allow":
                if statement["Principal"] == {"Service": "budgets.amazonaws.com"}:
                    assert topic.startswith("tickets"), "what a month costs"
                    account = {"Ref": "AWS::AccountId"}
                    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": account}
                    (source,) = statement["Condition"]["ArnLike"].values()
                    assert source["Fn::Join"][1] == [
                        "arn:",
                        {"Ref": "AWS::Partition"},
                        ":budgets::",
                        account,
                        ":*",
                    ]
                    continue
                assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
                assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
                allowed.add(topic)
            else:
                assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
                refused.add(topic)
    assert allowed == refused == topics


def test_what_the_machines_tell_waits_for_the_day(platform: Callable[[str], Any]) -> None:
    prod = platform("prod")
    assert "Reftickets" in json.dumps(prod.function("request_approval")["Environment"]["Variables"]["ALARM_TOPIC"])
    (machine,) = [
        each["Properties"]
        for each in prod.resources("training", "AWS::StepFunctions::StateMachine").values()
        if each["Properties"]["StateMachineName"] == "paywarden-prod-retrain"
    ]
    assert "Reftickets" in json.dumps(machine["DefinitionSubstitutions"]["alarm_topic"])
