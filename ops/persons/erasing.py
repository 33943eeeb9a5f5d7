"""Erasing people: what their tokens are made with is deleted, then what is kept under these tokens.

First the keys are punctured: those that count cannot make the old tokens any more, and who comes back is somebody
new. Processes that answer requests go on making them until they have taken the new keys over, and the keys of
before are kept for as long. After that these are deleted, with the states and entries under the old tokens and the
list of these tokens: from then on nothing makes them.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from fraud.tokens import Keyring, KeyringError
from ops.deployment import Deployment
from ops.persons.errors import ErasureError
from ops.persons.traces import delete_entries, delete_states
from ops.persons.waiting import held_up
from ops.tokens import RotationError, Secret
from runtime.auditing import PLATFORM, Entry
from runtime.keyring import lead

__all__ = ["Erasure", "ErasureError", "due", "erase", "finish"]

_BY = "erase"


@dataclass(frozen=True)
class Erasure:
    """What an erasure deleted.

    Attributes
    ----------
    tokens, states, entries : int
        How many there were.
    within_reach : int
        Versions of the secret that AWS still keeps and that hold keys which the current one does not.
    """

    tokens: int
    states: int
    entries: int
    within_reach: int


def erase(
    secret: Secret,
    values: Iterable[tuple[str, str]],
    *,
    clock: Callable[[], int],
    fresh: Callable[[], bytes],
    reason: str,
) -> Keyring:
    """Make keys count that cannot make the tokens of values; return the ring, from which `finish` goes on.

    Parameters
    ----------
    values : iterable of tuple of str and str
        As `read_identifiers` gives them.
    clock : callable
        Milliseconds since the epoch.
    fresh : callable
        Makes 32 random bytes.
    reason : str
        For the audit trail: a number of the request, and nothing that identifies the person.

    Raises
    ------
    ErasureError
        If another erasure is not finished.
    RotationError
        If somebody else is changing the keys.
    """
    ring, version = secret.read()
    if ring.erased:
        raise ErasureError("an erasure is not finished; `paywarden erase status` tells when it can be")
    tokeniser, pairs = secret.tokeniser(ring), list(values)
    try:
        trees = secret.put_trees(tokeniser.punctured(pairs, fresh))
        erased = secret.put_erased(tokeniser.tokens(pairs))
        secret.trail.record(
            Entry(
                at=clock(),
                who=_BY,
                kind="erasure",
                subject=PLATFORM,
                action="begin",
                before={"trees": ring.trees},
                after={"trees": trees, "identifiers": len(pairs)},
                reason=reason,
            )
        )
        punctured = msgspec.structs.replace(
            ring, keys=dict.fromkeys(ring.keys, ""), trees=trees, erased=erased, erased_at=clock()
        )
        version = secret.write(punctured, version)
    except Exception:
        # No list of tokens that are still made stays behind. The write may have come through all the same:
        # `mend` deletes nothing that is named.
        with suppress(RotationError, KeyringError, BotoCoreError, ClientError):
            secret.mend()
        raise
    # The objects of before stay for those who read the ring a moment ago: `finish` deletes them. The time is that
    # of the second write, when the first has certainly come through.
    punctured = msgspec.structs.replace(punctured, erased_at=clock())
    secret.write(punctured, version)
    return punctured


def due(ring: Keyring, interval: float) -> int:
    """When every process has taken a punctured ring over, in ms since the epoch.

    Parameters
    ----------
    interval : float
        Seconds between two looks at the secret.
    """
    return ring.erased_at + round(lead(interval) * 1_000)


def finish(deployment: Deployment, *, clock: int) -> Erasure:
    """Delete what is kept under tokens that were made impossible, and then which tokens those were.

    Where it was cut off, another call makes up for it.

    Parameters
    ----------
    clock : int
        Milliseconds since the epoch.

    Raises
    ------
    ErasureError
        If there is nothing to finish, or it is too early: something may still make those tokens, or carry them.
    """
    secret = Secret.of(deployment)
    ring, version = secret.read()
    if not ring.erased:
        if secret.mend():
            return Erasure(0, 0, 0, len(secret.within_reach()))
        raise ErasureError("no erasure is under way; `paywarden erase person` begins one")
    if why := held_up(deployment, due(ring, deployment.environment.token_refresh_seconds), clock=clock):
        raise ErasureError(why)
    tokens = secret.erased(ring)
    merchants = sorted(each.merchant_id for each in deployment.merchants().accounts())
    states = delete_states(deployment, tokens, merchants)
    entries = delete_entries(deployment.settings(), tokens, merchants, now=clock, by=_BY)
    secret.trail.record(
        Entry(
            at=clock,
            who=_BY,
            kind="erasure",
            subject=PLATFORM,
            action="finish",
            after={"trees": ring.trees, "tokens": len(tokens), "states": states, "entries": entries},
        )
    )
    secret.replace(msgspec.structs.replace(ring, erased="", erased_at=0), version)
    return Erasure(len(tokens), states, entries, len(secret.within_reach()))
