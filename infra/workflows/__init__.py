"""State machines, in Amazon States Language, one fragment per phase.

Plain values and no CDK: the very same text is deployed to every environment, and `${...}` marks what a
deployment fills in.
"""

from infra.workflows.retrain import FUNCTIONS, SUBSTITUTIONS, retrain

__all__ = ["FUNCTIONS", "SUBSTITUTIONS", "retrain"]
