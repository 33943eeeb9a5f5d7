"""CloudWatch's metrics and alarms, as far as the platform uses them, without a clock or a server of their own.

What is followed is the CloudWatch User Guide: "CloudWatch statistics definitions", "Alarm evaluation",
"Configuring how CloudWatch alarms treat missing data", "Using math expressions with CloudWatch metrics" and
"Specification: Embedded metric format". What is not known here is refused by name.
"""

from ops.localcloud.alarms.embedded import data_of
from ops.localcloud.alarms.evaluation import Alarm, Verdict, evaluate
from ops.localcloud.alarms.expressions import ExpressionError, Query, check, solve
from ops.localcloud.alarms.messages import message_of
from ops.localcloud.alarms.metrics import Distribution, Metric, Metrics, Scope
from ops.localcloud.alarms.statistics import StatisticError, statistic

__all__ = [
    "Alarm",
    "Distribution",
    "ExpressionError",
    "Metric",
    "Metrics",
    "Query",
    "Scope",
    "StatisticError",
    "Verdict",
    "check",
    "data_of",
    "evaluate",
    "message_of",
    "solve",
    "statistic",
]
