"""The whole platform in one environment: five stacks, wired."""

from dataclasses import dataclass

import aws_cdk as cdk

from infra.environment import Environment
from infra.stacks import DataStack, FeaturesStack, MonitoringStack, ScoringStack, TrainingStack

__all__ = ["Platform", "build"]


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The stacks of one environment."""

    data: DataStack
    features: FeaturesStack
    scoring: ScoringStack
    training: TrainingStack
    monitoring: MonitoringStack


def build(app: cdk.App, environment: Environment) -> Platform:
    """Add the platform's stacks to `app`."""
    data = DataStack(app, environment=environment)
    features = FeaturesStack(app, environment=environment, data=data)
    scoring = ScoringStack(app, environment=environment, data=data)
    training = TrainingStack(app, environment=environment, data=data)
    monitoring = MonitoringStack(
        app, environment=environment, data=data, scoring=scoring, features=features, training=training
    )
    return Platform(data=data, features=features, scoring=scoring, training=training, monitoring=monitoring)
