"""The state machine `monitor`, with a role that may do just that, and its alarm."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.constructs.alarm import Topics, watch
from infra.constructs.function import Function
from infra.constructs.job_role import JobRole
from infra.constructs.keys import Keys
from infra.constructs.machine import state_machine
from infra.environment import Environment
from infra.workflows.monitor import MONITOR_FUNCTIONS, monitor

__all__ = ["Monitoring"]


class Monitoring(Construct):
    """Attributes: state_machine, failed.

    Parameters
    ----------
    functions : mapping of str to Function
        At least those that the machine calls.
    jobs : mapping of str to JobRole
        At least that of its step.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        functions: Mapping[str, Function],
        jobs: Mapping[str, JobRole],
        training_image: str,
        topics: Topics,
        keys: Keys,
    ) -> None:
        super().__init__(scope, id_)
        self.state_machine = state_machine(
            self,
            "monitor",
            environment=environment,
            definition=monitor(),
            description="what a look at models and data may do",
            keys=keys,
            functions=[functions[name] for name in sorted(MONITOR_FUNCTIONS)],
            jobs={"monitor": jobs["monitor"]},
            training_image=training_image,
        )
        period = cdk.Duration.minutes(5)
        self.failed = watch(
            self,
            "failed-alarm",
            "monitoring-failed",
            environment=environment,
            topics=topics,
            # One that hangs is counted as timed out, and as nothing else.
            metric=cloudwatch.MathExpression(
                expression="FILL(failed, 0) + FILL(late, 0)",
                label="failed",
                using_metrics={
                    "failed": self.state_machine.metric_failed(period=period),
                    "late": self.state_machine.metric_timed_out(period=period),
                },
                period=period,
            ),
            threshold=1,
            periods=1,
        )
