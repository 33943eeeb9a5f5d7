"""The five stacks. They only wire; what is wired is in `infra.constructs` and `infra.workflows`."""

from infra.stacks.data import DataStack
from infra.stacks.features import FeaturesStack
from infra.stacks.monitoring import MonitoringStack
from infra.stacks.scoring import ScoringStack
from infra.stacks.training import TrainingStack

__all__ = ["DataStack", "FeaturesStack", "MonitoringStack", "ScoringStack", "TrainingStack"]
