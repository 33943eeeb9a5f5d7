"""Logs and metrics, the same in every function: structured lines and EMF, by Powertools.

No function logs anything that a merchant sent, but ids of its own making. What is done here is the second line of
defence: whatever reaches the log all the same, such as the message of a library's exception, is searched for card
numbers, keys, emails and telephone numbers first.
"""

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from runtime.redaction import serialised

__all__ = ["MetricUnit", "logger", "metrics"]

# Service name, namespace and level come from the environment that the function factory sets.
logger = Logger(json_serializer=serialised)
metrics = Metrics()
