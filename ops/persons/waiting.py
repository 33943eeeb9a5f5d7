"""What an erasure waits for: until nothing makes the old tokens any more, and nothing on its way carries them."""

from typing import Final

from ops.deployment import Deployment
from ops.functions import deployed
from ops.status.metrics import lambda_, lately, ours, recent, sqs

__all__ = ["held_up"]

_READERS: Final = ("score_transaction", "manage_settings")
"""The functions that make tokens."""

_LATE: Final = 240
"""Seconds that an age may be old which CloudWatch has: a message grows that much older meanwhile."""

_COUNTS: Final = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]


def held_up(deployment: Deployment, ready: int, *, clock: int) -> str:
    """Why what is kept under old tokens would be made again after it was deleted; empty if it would not.

    What is on its way has to be younger than `ready`. Of the relay CloudWatch knows nothing while it stands still;
    then `relay-stopped` is on.

    Parameters
    ----------
    ready : int
        From when on no process makes them, in ms since the epoch.
    clock : int
        Milliseconds since the epoch.
    """
    if clock < ready:
        return f"processes may make the old tokens for {-(-(ready - clock) // 1_000)} more seconds; finish it then"
    cloudwatch, now, since = deployment.client("cloudwatch"), clock / 1_000, (clock - ready) / 1_000
    unread = {each: ours(deployment.environment.name, "KeyringRefreshFailed", each) for each in _READERS}
    if failing := [name for name, rate in recent(cloudwatch, unread, now).items() if rate.now]:
        return (
            f"{failing[0]} could not read the new keys in the last ten minutes and may make the old tokens; see "
            "docs/runbooks/stale-token-keys.md, and finish it ten minutes after"
        )
    url = deployment["UpdateQueueUrl"]
    ages = lately(
        cloudwatch,
        {
            "relay": lambda_("IteratorAge", deployed(deployment).get("relay_decisions", ""), "Maximum"),
            "queue": sqs("ApproximateAgeOfOldestMessage", url.rpartition("/")[2]),
        },
        now,
    )
    if (ages["relay"] or 0) / 1_000 > since:
        return "the relay still carries decisions under the old tokens; finish it when it has caught up"
    found = deployment.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=_COUNTS)["Attributes"]
    waiting = any(int(found.get(name, 0)) for name in _COUNTS)
    if waiting and (ages["queue"] is None or ages["queue"] + _LATE > since):
        return (
            "the queue of updates may hold payments under the old tokens; finish it when the queue is empty, or "
            f"{_LATE // 60} minutes later than its oldest message is old"
        )
    return ""
