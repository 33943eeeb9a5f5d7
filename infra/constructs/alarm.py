"""The one factory of alarms, and the two topics that they tell.

What CloudWatch does with them, as its guide and the model of its API say (read in November 2026): an alarm is
looked at every minute, over the time that ends now and is as long as its periods together. These are a day at
most, or seven days if each of them is an hour or more.
"""

from dataclasses import dataclass, field

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.alarms import HALVES, KINDS, AlarmKind, Severity, name_of
from infra.constructs.keys import Keys
from infra.environment import Environment
from infra.slos import Burn, Slo

__all__ = ["Topics", "make_topics", "watch", "watch_burn"]

_AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_QUIET = cloudwatch.TreatMissingData.NOT_BREACHING


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Where people hear of alarms: `pages` wakes them, `tickets` waits for the day.

    That an alarm is over waits for the day, whatever its severity: the first state of a new alarm is told like an
    end, so that a deployment would wake people for nothing.

    Attributes
    ----------
    heard : dict of str to list of str
        The names of the alarms that were made so far, by severity.
    """

    pages: sns.ITopic
    tickets: sns.ITopic
    heard: dict[Severity, list[str]] = field(default_factory=lambda: {"page": [], "ticket": [], "none": []})

    def tell(self, alarm: cloudwatch.AlarmBase, name: str, kind: AlarmKind) -> None:
        """Let an alarm of a kind tell people when it goes off and when it is over, if it is for people at all."""
        self.heard[kind.severity].append(name)
        if kind.severity == "none":
            return
        alarm.add_alarm_action(actions.SnsAction(self.pages if kind.severity == "page" else self.tickets))
        alarm.add_ok_action(actions.SnsAction(self.tickets))


def make_topics(scope: Construct, *, keys: Keys) -> Topics:
    """Both topics. CloudWatch of this account may publish to them, and nobody may without TLS."""
    return Topics(pages=_topic(scope, "pages", keys), tickets=_topic(scope, "tickets", keys))


def _topic(scope: Construct, id_: str, keys: Keys) -> sns.Topic:
    # Under a key of ours, since CloudWatch may not use the one that AWS manages for SNS.
    topic = sns.Topic(scope, id_, enforce_ssl=True, master_key=keys.messages)
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            actions=["sns:Publish"],
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            resources=[topic.topic_arn],
            conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(scope).account}},
        )
    )
    return topic


def watch(
    scope: Construct,
    id_: str,
    kind: str,
    *,
    environment: Environment,
    topics: Topics,
    metric: cloudwatch.IMetric,
    threshold: float,
    periods: int,
    breaching: int | None = None,
    comparison: cloudwatch.ComparisonOperator = _AT_LEAST,
    missing: cloudwatch.TreatMissingData = _QUIET,
    of: str = "",
) -> cloudwatch.Alarm:
    """An alarm of a kind of the catalogue, which tells whom its severity says.

    Parameters
    ----------
    kind : str
        One of `infra.alarms.KINDS`: it decides on the name, on who is told, and on the words.
    periods : int
        How many of the metric's periods are looked at.
    breaching : int, optional
        How many of those have to breach; by default all.
    of : str, optional
        What it is about, where there are several of the kind: the end of its name.

    Raises
    ------
    KeyError
        If there is no such kind.
    """
    name = name_of(kind, prefix=environment.prefix, of=of)
    alarm = cloudwatch.Alarm(
        scope,
        id_,
        alarm_name=name,
        alarm_description=_told(KINDS[kind], of),
        metric=metric,
        threshold=threshold,
        evaluation_periods=periods,
        datapoints_to_alarm=breaching,
        comparison_operator=comparison,
        treat_missing_data=missing,
    )
    topics.tell(alarm, name, KINDS[kind])
    return alarm


def watch_burn(
    scope: Construct,
    slo: Slo,
    burn: Burn,
    *,
    environment: Environment,
    topics: Topics,
    long: cloudwatch.IMetric,
    short: cloudwatch.IMetric,
) -> cloudwatch.CompositeAlarm:
    """An alarm that goes off while an allowance is used up too quickly over a long window and over a short one.

    `long` and `short` are the shares of what was bad in `burn.long` and `burn.short` seconds, each one period.
    They get alarms of their own that tell nobody, and what is returned holds while both are on.
    """
    kind = KINDS[f"{slo.name}-{burn.name}"]
    name = name_of(kind.name, prefix=environment.prefix)
    halves = [
        cloudwatch.Alarm(
            scope,
            f"{kind.name}-{which}",
            alarm_name=f"{name}-{which}",
            alarm_description=f"The {which} window of {name}, which tells people. {_told(kind)}",
            metric=metric,
            threshold=burn.rate * slo.allowance,
            evaluation_periods=1,
            comparison_operator=_AT_LEAST,
            treat_missing_data=_QUIET,
        )
        for which, metric in zip(HALVES, (long, short), strict=True)
    ]
    both = cloudwatch.CompositeAlarm(
        scope,
        kind.name,
        composite_alarm_name=name,
        alarm_description=_told(kind),
        alarm_rule=cloudwatch.AlarmRule.all_of(
            *(cloudwatch.AlarmRule.from_alarm(each, cloudwatch.AlarmState.ALARM) for each in halves)
        ),
    )
    topics.tell(both, name, kind)
    return both


def _told(kind: AlarmKind, of: str = "") -> str:
    about = f" ({of})" if of else ""
    return (
        f"{kind.means.removesuffix('.')}{about}. Severity: {kind.severity}. Owner: {kind.owner}. "
        f"Runbook: docs/runbooks/{kind.runbook}.md"
    )
