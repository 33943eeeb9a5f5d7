"""A process that handles one event as the Lambda `update_features` would; the event comes on standard input."""

import json
import sys

from lambdas.update_features.handler import handler
from tests.unit.lambdas.context import Context

if __name__ == "__main__":
    json.dump(handler(json.load(sys.stdin), Context()), sys.stderr)
