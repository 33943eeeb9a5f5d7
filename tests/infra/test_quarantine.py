"""Nothing of the platform reads letters in quarantine."""

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import pytest

LETTER = "quarantine/updates/2026-03-02/5e0c.json"
READS = ("s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:PutObject")


def objects(resource: Any, lake: set[str]) -> str | None:
    """Which keys of the lake's bucket a statement's resource covers; None if it is about something else."""
    text = json.dumps(resource)
    if text == '"*"':
        return "*"
    if not any(name in text for name in lake):
        return None
    parts = resource["Fn::Join"][1] if isinstance(resource, dict) and "Fn::Join" in resource else []
    tail = parts[-1] if parts and isinstance(parts[-1], str) else ""
    return tail.removeprefix("/") if tail.startswith("/") else None


@pytest.mark.parametrize("name", ["local", "prod"])
def test_no_role_may_touch_a_letter_in_quarantine(platform: Callable[[str], Any], name: str) -> None:
    found = platform(name)
    buckets = [key for key in found.resources("data", "AWS::S3::Bucket") if key.startswith("lakebucket")]
    assert len(buckets) == 1
    checked = 0
    for part in ("data", "features", "scoring", "training", "monitoring"):
        for policy in found.resources(part, "AWS::IAM::Policy").values():
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                if not any(fnmatchcase(each, action) for each in READS for action in actions):
                    continue
                resources = statement["Resource"]
                for resource in resources if isinstance(resources, list) else [resources]:
                    keys = objects(resource, set(buckets))
                    checked += keys is not None
                    assert keys is None or not fnmatchcase(LETTER, keys), f"{part}: {actions} on {keys}"
    # The ways to the lake, and those of the jobs that learn from it.
    assert checked >= 6
