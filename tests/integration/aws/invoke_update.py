"""A process that handles one event as the Lambda `update_features` would; the event comes on standard input."""

import json
import sys

from lambdas.update_features.handler import handler

if __name__ == "__main__":
    json.dump(handler(json.load(sys.stdin), None), sys.stderr)
