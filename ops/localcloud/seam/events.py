"""EventBridge: what the services themselves put on the default bus."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ops.localcloud.seam.emulator import Function, eventbridge

__all__ = ["FUNCTIONS", "publish_event"]

FUNCTIONS: Final[tuple[Function, ...]] = ((eventbridge, "_put_events", ("data", "allow_aws_source")),)


def publish_event(source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str]) -> None:
    """Put one event of an AWS service on the default bus of the caller's account and region."""
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": list(resources),
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
