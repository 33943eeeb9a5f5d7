"""Logs and metrics, the same in every function: structured lines and EMF, by Powertools."""

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

__all__ = ["MetricUnit", "logger", "metrics"]

# Service name, namespace and level come from the environment that the function factory sets.
logger = Logger()
metrics = Metrics()
