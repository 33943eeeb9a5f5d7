"""Objectives as CloudWatch computes them, and the alarms on how quickly their allowances go.

A window is one period of metric math: 24 hours at most, since one period may not be longer than what all periods
of an alarm may be together (a day, for periods of less than an hour; seven for longer ones). ``PR(:300)`` is the
share in per cent of values up to 300, from raw values, and is among the statistics that an alarm takes (the model
of CloudWatch's API, PutMetricAlarm, `ExtendedStatistic`; read in November 2026). CloudWatch computes no such share
of a metric that has negative values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.constructs.alarm import Topics, watch_burn
from infra.constructs.metric import computed
from infra.environment import Environment
from infra.slos import SLOS, Slo

__all__ = ["Counted", "Objectives", "Timed"]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What is told by two counts."""

    bad: cloudwatch.MathExpression
    total: cloudwatch.MathExpression


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What is told by durations, each a value of a metric, in the objective's unit."""

    took: cloudwatch.Metric


type Source = Counted | Timed


class Objectives(Construct):
    """The objectives of `infra.slos`, each with its burn alarms.

    Parameters
    ----------
    sources : mapping of str to Counted or Timed
        By the objective's name; each objective has one.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        topics: Topics,
        sources: Mapping[str, Source],
    ) -> None:
        super().__init__(scope, id_)
        self._sources = sources
        for slo in SLOS.values():
            for burn in slo.burns:
                watch_burn(
                    self,
                    slo,
                    burn,
                    environment=environment,
                    topics=topics,
                    long=self.bad_share(slo, cdk.Duration.seconds(burn.long), least=slo.least),
                    # The long window has said that it is more than a few.
                    short=self.bad_share(slo, cdk.Duration.seconds(burn.short)),
                )

    def bad_share(self, slo: Slo, period: cdk.Duration, *, least: int = 0) -> cloudwatch.MathExpression:
        """The share that was bad; 0 where fewer than `least` were."""
        match source := self._sources[slo.name]:
            case Counted():
                using: dict[str, cloudwatch.IMetric] = {
                    "bad": source.bad,
                    "total": source.total,
                }
                bad, share = "bad", "bad / total"
            case Timed():
                using = {
                    "good": source.took.with_(statistic=cloudwatch.Stats.percentile_rank(slo.within or 0)),
                    "total": source.took.with_(statistic=cloudwatch.Stats.SAMPLE_COUNT),
                }
                bad, share = "(100 - good) * total / 100", "(100 - good) / 100"
            case _:
                assert_never(source)
        if least:
            # Half a call less, since a count that is computed from a share is not quite whole.
            share = f"IF({bad} > {least - 0.5}, {share}, 0)"
        else:
            # Only metrics that an expression uses may be given to it.
            using = {name: each for name, each in using.items() if name in share}
        return computed(share, using, label=f"{slo.name}: bad", period=period)

    def burn_rate(self, slo: Slo, period: cdk.Duration) -> cloudwatch.MathExpression:
        """How many times as quickly as evenly the allowance went, in each period."""
        share = self.bad_share(slo, period)
        return computed(
            f"({share.expression}) / {slo.allowance:g}",
            dict(share.using_metrics),
            label="burn rate",
            period=period,
        )

    def left(self, slo: Slo, period: cdk.Duration) -> cloudwatch.MathExpression:
        """What is left of the allowance, in per cent; less than nothing if the objective was missed."""
        share = self.bad_share(slo, period)
        return computed(
            f"100 - 100 * ({share.expression}) / {slo.allowance:g}",
            dict(share.using_metrics),
            label=f"{slo.name}: % left",
            period=period,
        )
