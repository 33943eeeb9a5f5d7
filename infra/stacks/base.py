"""What every stack of Paywarden has in common."""

import aws_cdk as cdk
from constructs import Construct

from infra.environment import Environment

__all__ = ["PaywardenStack", "tags_of"]


_MADE_ONCE = ["AWS::AppConfig::Deployment"]
"""Not tagged: a tag that changes would make them again, and the first serving document would serve again."""


class PaywardenStack(cdk.Stack):
    """A stack named `paywarden-<environment>-<part>`, in the environment's account and region if it names any.

    All that can be tagged in it says whose it is, and who pays for it.
    """

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
        for key, value in tags_of(environment).items():
            cdk.Tags.of(self).add(key, value, exclude_resource_types=_MADE_ONCE)

    def outputs(self, **values: str) -> None:
        """Declare the stack's CloudFormation outputs, under exactly these keys."""
        for key, value in values.items():
            cdk.CfnOutput(self, key, value=value)


def tags_of(environment: Environment) -> dict[str, str]:
    """The tags of every resource of an environment: costs are counted by them, and people asked."""
    return {
        "application": "paywarden",
        "environment": environment.name,
        "owner": environment.owner,
        "cost-centre": environment.cost_centre,
    }
