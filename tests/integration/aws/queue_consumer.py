"""What Lambda does for `update_features`, as a process of its own that may be killed at any moment.

Reads SQS events, one JSON document a line, and acknowledges each with a line of the messages that failed.
"""

import json
import sys

from lambdas.update_features.handler import handler

# Standard output is the function's: its logs and metrics go there.
for line in sys.stdin:
    answer = handler(json.loads(line), None)
    sys.stderr.write(json.dumps([failure["itemIdentifier"] for failure in answer["batchItemFailures"]]) + "\n")
    sys.stderr.flush()
