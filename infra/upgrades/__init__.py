"""What a release keeps, held against what the release before deployed.

CloudFormation replaces a resource whose logical id, type or create-only property changes: it makes a new one and
leaves or deletes the old one, and either way what it held is gone from the platform. So what holds something is
recorded with every release, and the templates of the next one may not touch it.
"""

from infra.upgrades.breaking import BREAKING
from infra.upgrades.comparing import broken
from infra.upgrades.keeping import ELSEWHERE, STATEFUL, kept
from infra.upgrades.recording import RECORDED, read, write

__all__ = ["BREAKING", "ELSEWHERE", "RECORDED", "STATEFUL", "broken", "kept", "read", "write"]
