"""What every stack of Paywarden has in common."""

import aws_cdk as cdk
from constructs import Construct

from infra.environments import Environment

__all__ = ["PaywardenStack"]


class PaywardenStack(cdk.Stack):
    """A stack named `paywarden-<environment>-<part>`, in the environment's account and region if it names any."""

    def __init__(self, scope: Construct, *, part: str, environment: Environment, description: str) -> None:
        super().__init__(
            scope,
            part,
            stack_name=f"{environment.prefix}-{part}",
            description=description,
            env=cdk.Environment(account=environment.account, region=environment.region),
            termination_protection=environment.termination_protection,
            tags={"application": "paywarden", "environment": environment.name},
        )
        self.environment_settings = environment

    def outputs(self, **values: str) -> None:
        """Declare the stack's CloudFormation outputs, under exactly these keys."""
        for key, value in values.items():
            cdk.CfnOutput(self, key, value=value)
