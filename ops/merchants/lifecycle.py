"""The life of merchants' keys: made, shown once, rotated, ended.

Every command may be repeated: what is there already is left, what is missing is put right, and what cannot be
is refused with the remedy before anything was changed.
"""

import re
import secrets
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from fraud.windows import MINUTE
from ops.deployment import Deployment, DeploymentError
from ops.inputs import Row
from ops.merchants.errors import MerchantError, MerchantIdError
from ops.merchants.usage import SETTLES, drop_kept_answers, switch, usage_key
from runtime.keys import authenticate, written_key
from runtime.stores.merchants import Account, AccountChangedError, Credential

__all__ = [
    "LIVE_KEYS",
    "Change",
    "NewKey",
    "add",
    "as_merchant",
    "disable",
    "enable",
    "join",
    "merchant_of",
    "move",
    "rotate",
]

LIVE_KEYS: Final = 2
"""One that is in use and one that takes over from it."""


@dataclass(frozen=True)
class Change:
    """What a command did.

    Attributes
    ----------
    changed : bool
        False if it found everything as it was to be.
    kept_answers : str
        Why API Gateway could not drop the answers that it keeps; empty if it did or did not have to.
    """

    account: Account
    changed: bool
    kept_answers: str = ""


@dataclass(frozen=True)
class NewKey:
    """A merchant's new key; `secret` is the whole of it and cannot be had again."""

    merchant_id: str
    key_id: str
    secret: str
    change: Change


def add(deployment: Deployment, merchant_id: str, *, at: int, plan: str | None = None) -> NewKey:
    """Make a merchant and its first key.

    Parameters
    ----------
    at : int
        Now, in ms since the epoch, as everywhere here.
    plan : str, optional
        The name of a usage plan of the environment; its first by default.

    Raises
    ------
    MerchantIdError
        If the id is not 1 to 64 of the characters that ids may have.
    MerchantError
        If there is such a merchant, or no such plan.
    """
    # The id is the first part of every event's id, up to a slash.
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", merchant_id):
        raise MerchantIdError(
            f"{merchant_id!r} is no merchant id: use 1 to 64 letters, digits, '-', '_', '.', ':'"
        )
    chosen = _plan(deployment, plan or deployment.environment.plans[0].name)
    if deployment.merchants().account(merchant_id) is not None:
        raise MerchantError(
            f"merchant {merchant_id} exists: `paywarden merchants rotate {merchant_id}` makes it another key, "
            f"`paywarden merchants list` shows the ones it has"
        )
    counted = usage_key(deployment, merchant_id, chosen, at=at).value
    account = Account(merchant_id, chosen, counted, created_at=at, changed_at=at, version=0)
    return _with_key(deployment, account, at=at, action="add")


def rotate(deployment: Deployment, merchant_id: str, *, at: int, grace: int) -> NewKey:
    """Make a second key; those before it end after `grace` ms, or at once if that is 0.

    Raises
    ------
    MerchantError
        If the merchant is unknown or disabled, or has two live keys that would go on.
    """
    account = _account(deployment, merchant_id)
    if account.disabled_at:
        raise MerchantError(
            f"merchant {merchant_id} is disabled: `paywarden merchants enable {merchant_id}` first"
        )
    live = account.live_keys(at)
    if grace and len(live) >= LIVE_KEYS:
        _refuse_third(account, live)
    ending = tuple(replace(key, expires_at=at + grace) for key in live)
    drop = not grace and bool(live)
    return _with_key(deployment, account, *ending, at=at, action="rotate", drop=drop)


def disable(deployment: Deployment, merchant_id: str, *, at: int, key_id: str | None = None) -> Change:
    """End a merchant's keys, or one of them, until it is enabled again.

    Raises
    ------
    MerchantError
        If there is no such merchant, or it has no such key.
    """
    account = _account(deployment, merchant_id)
    keys = (_key(account, key_id),) if key_id else account.live_keys(at)
    # A moment of its own, by which `enable` tells keys that were ended with the merchant from those that were
    # ended for themselves. One that is named is: the merchant's being enabled again must not bring it back.
    moment = max(at, account.disabled_at + 1, *(key.disabled_at + 1 for key in account.keys))
    before = account.disabled_at if key_id else 0
    ended = [replace(key, disabled_at=moment) for key in keys if key.disabled_at in (0, before)]
    whole = account.disabled_at or (0 if key_id else moment)
    change = _saved(deployment, replace(account, disabled_at=whole), *ended, at=at, action="disable")
    if whole:
        switch(deployment, merchant_id, enabled=False)
    # Even if nothing was changed: the time before may have failed here.
    return replace(change, kept_answers=drop_kept_answers(deployment))


def enable(deployment: Deployment, merchant_id: str, *, at: int, key_id: str | None = None) -> Change:
    """Let a disabled merchant's keys work again: those that `disable` ended with it, or one.

    A key that was disabled alone stays so until it is named, and a key whose time has run out stays ended.

    Raises
    ------
    MerchantError
        If there is no such merchant or key, the key's time has run out, or a third key would be live.
    """
    account = _account(deployment, merchant_id)
    if key_id:
        named = _key(account, key_id)
        keys = tuple(key for key in (named,) if key.disabled_at)
        if not replace(named, disabled_at=0).live(at):
            raise MerchantError(
                f"key {key_id} has expired: `paywarden merchants rotate {merchant_id}` makes a new one"
            )
    else:
        keys = tuple(key for key in account.keys if account.disabled_at and key.disabled_at == account.disabled_at)
    live = account.live_keys(at)
    if keys and len(live) + len(keys) > LIVE_KEYS:
        _refuse_third(account, live)
    usage_key(deployment, merchant_id, account.plan, at=at)
    switch(deployment, merchant_id, enabled=True)
    enabled = [replace(key, disabled_at=0) for key in keys]
    return _saved(deployment, replace(account, disabled_at=0), *enabled, at=at, action="enable")


def move(deployment: Deployment, merchant_id: str, plan: str, *, at: int) -> Change:
    """Put a merchant into another usage plan; its keys stay what they are.

    Raises
    ------
    MerchantError
        If there is no such merchant, or no such plan, or API Gateway may still refuse its API key there.
    """
    change = _moved(deployment, _account(deployment, merchant_id), plan, at=at)
    return replace(change, kept_answers=drop_kept_answers(deployment))


def join(deployment: Deployment, *, at: int) -> list[Change]:
    """Put every merchant that is enabled into its usage plan, as after the API was made anew with empty ones.

    `enable` does it for the others.

    Raises
    ------
    MerchantError
        If some could not be put there, when all others are.
    """
    changes, left_out = [], []
    for merchant_id in [each.merchant_id for each in deployment.merchants().accounts()]:
        try:
            # As it is now: somebody may have moved it since all were read.
            account = _account(deployment, merchant_id)
            if not account.disabled_at:
                changes.append(_moved(deployment, account, account.plan, at=at))
        except MerchantError as error:
            left_out.append(f"{merchant_id}: {error}")
    drop_kept_answers(deployment)
    if left_out:
        raise MerchantError(
            f"{len(changes)} merchants are in their plans, and {len(left_out)} are not: {'; '.join(left_out)}"
        )
    return changes


def _moved(deployment: Deployment, account: Account, plan: str, *, at: int) -> Change:
    merchant_id = account.merchant_id
    counted, fresh = usage_key(deployment, merchant_id, _plan(deployment, plan), at=at)
    if fresh and plan != account.plan and account.live_keys(at):
        raise MerchantError(
            f"merchant {merchant_id} stays in the plan {account.plan} for now: API Gateway may not know its API "
            f"key in the plan {plan} yet. Run this again in {SETTLES // MINUTE} minutes, which moves the merchant"
        )
    if account.disabled_at:
        switch(deployment, merchant_id, enabled=False)
    moved = replace(account, plan=plan, usage_key=counted)
    lasting = (key for key in account.keys if replace(key, disabled_at=0).live(at))
    keys = [replace(key, plan=plan, usage_key=counted) for key in lasting]
    return _saved(deployment, moved, *keys, at=at, action="move")


def merchant_of(deployment: Deployment, key: str, *, at: int) -> str:
    """The merchant that a key belongs to.

    Raises
    ------
    DeploymentError
        If it is no live key of this deployment.
    """
    credential = authenticate(key, deployment.merchants(), deployment.key_hash(), at=at)
    if credential is None:
        raise DeploymentError("the key is no live one of this deployment; `paywarden merchants add` makes one")
    return credential.merchant_id


def as_merchant(row: Row, merchant_id: str) -> Row:
    """A row as if the payment had been this merchant's."""
    return replace(row, transaction=msgspec.structs.replace(row.transaction, merchant_id=merchant_id))


def _account(deployment: Deployment, merchant_id: str) -> Account:
    account = deployment.merchants().account(merchant_id)
    if account is None:
        raise MerchantError(
            f"there is no merchant {merchant_id!r}: `paywarden merchants list` shows those there are, "
            "`paywarden merchants add` makes one"
        )
    return account


def _key(account: Account, key_id: str) -> Credential:
    for key in account.keys:
        if key.key_id == key_id:
            return key
    known = ", ".join(key.key_id for key in account.keys)
    # Not what was given, which may be a whole key with its secret.
    raise MerchantError(f"--key: merchant {account.merchant_id} has no such key; give one of: {known}")


def _plan(deployment: Deployment, name: str) -> str:
    known = [plan.name for plan in deployment.environment.plans]
    if name not in known:
        raise MerchantError(f"there is no usage plan {name!r}; give one of: {', '.join(known)}")
    return name


def _refuse_third(account: Account, live: tuple[Credential, ...]) -> None:
    merchant_id, ids = account.merchant_id, " and ".join(key.key_id for key in live)
    first = min(live, key=lambda key: (key.expires_at or float("inf"), key.created_at))
    raise MerchantError(
        f"merchant {merchant_id} would have more than {LIVE_KEYS} live keys; live: {ids}. When the merchant no "
        f"longer uses the older one, end it: `paywarden merchants disable {merchant_id} --key {first.key_id}`. "
        f"To end them all at once: `paywarden merchants rotate {merchant_id} --now`"
    )


def _with_key(
    deployment: Deployment, account: Account, *changed: Credential, at: int, action: str, drop: bool = False
) -> NewKey:
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    made = Credential(
        key_id=key_id,
        merchant_id=account.merchant_id,
        secret_hash=deployment.key_hash().of(key_id, secret),
        plan=account.plan,
        usage_key=account.usage_key,
        created_at=at,
    )
    keys = (*account.keys, made)
    change = _saved(deployment, replace(account, keys=keys), *changed, made, at=at, action=action)
    if drop:
        change = replace(change, kept_answers=drop_kept_answers(deployment))
    return NewKey(account.merchant_id, key_id, written_key(key_id, secret), change)


def _saved(deployment: Deployment, account: Account, *changed: Credential, at: int, action: str) -> Change:
    """Store what differs from what is stored, if anything does."""
    newer = {key.key_id: key for key in changed}
    account = replace(account, keys=tuple(newer.get(key.key_id, key) for key in account.keys))
    if account == deployment.merchants().account(account.merchant_id):
        return Change(account, changed=False)
    account = replace(account, changed_at=at, version=account.version + 1)
    try:
        deployment.merchants().save(account, *changed, action=action)
    except AccountChangedError as error:
        raise MerchantError(str(error)) from error
    return Change(account, changed=True)
