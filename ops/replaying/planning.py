"""From what is asked to a plan: what decided in the stretch, and every document that it names, as data."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import ClientError

from fraud.features import STANDARD
from fraud.lists import StoredLists
from fraud.manifest import Days
from fraud.policy import Policy
from fraud.rules import Rules, StoredRules
from fraud.serving import Serving
from fraud.windows import DAY
from ops.backtests.trying import LONGEST, read_document
from ops.deployment import Deployment
from ops.lake import lake_of
from ops.measures import serving_profile
from ops.replaying.errors import ReplayError
from runtime.athena import QueryError, TooSlowError, quoted
from runtime.configuration import current
from runtime.contract.settings import PolicyRequest, checked
from runtime.http import Problem
from runtime.stores.documents import StoredPolicy
from runtime.stores.settings import SettingsStore
from training.replay_judging import SETTLING
from training.replay_plan import (
    SERVED,
    FeaturesAsked,
    MerchantPast,
    PolicySince,
    ReplayPlan,
    Which,
    feature_set,
)

__all__ = ["Asked", "Planned", "plan_of"]

_MOST_LISTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asks; times in ms since the epoch, UTC.

    Attributes
    ----------
    model : str
        ``served``, ``champion``, a version, or the path of a folder with a bundle.
    rules, policy : str
        ``served``, ``current``, or the path of a document as the API takes it.
    """

    since: int
    until: int
    merchant: str = ""
    features: FeaturesAsked = "served"
    model: str = SERVED
    rules: str = SERVED
    policy: str = SERVED


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what it needs beside itself.

    Attributes
    ----------
    bundles : tuple of str
        Versions that lie in the deployment's bucket.
    own_bundle : Path or None
        A folder on this machine; its version is the plan's model.
    """

    plan: ReplayPlan
    bundles: tuple[str, ...]
    own_bundle: Path | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """One combination of versions that decided in the stretch; `first` and `last` are when, by the wall clock."""

    merchant: str
    model: str
    policy: str
    rules: str
    first: int
    last: int


def plan_of(deployment: Deployment, asked: Asked, id_: str, *, now: int) -> Planned:
    """Look up everything that a replay needs to know; nothing is changed.

    Raises
    ------
    ReplayError
        If there is nothing to replay, or what is named is not there.
    """
    if not 0 <= asked.since < asked.until:
        raise ReplayError("--since is not before --until; name a time that has passed and its end")
    found = _decided(deployment, asked)
    serving = current(deployment.client("appconfigdata"), serving_profile(deployment))
    settings = deployment.settings()
    merchants = {name: _past(settings, name, found) for name in sorted({each.merchant for each in found})}
    rules, given_rules = _rules(asked, merchants, now)
    policy, given_policy = _policy(asked)
    model, bundles, own = _model(deployment, asked, serving, found)
    platform = [
        PolicySince(at=each.at, policy=each.document.policy) for each in deployment.releases().history()
    ] or [PolicySince(at=0, policy=serving.policy)]
    if platform[0].policy != serving.policy:
        platform.insert(0, PolicySince(at=now, policy=serving.policy))
    plan = ReplayPlan(
        id=id_,
        since=asked.since,
        until=asked.until,
        as_of=_as_of(deployment, now, asked),
        merchant=asked.merchant,
        features=asked.features,
        model=model,
        rules=rules,
        policy=policy,
        given_rules=given_rules,
        given_policy=given_policy,
        platform=tuple(platform),
        merchants={name: past for name, past in merchants.items() if past != MerchantPast()},
        minimum_confidence=deployment.environment.run_policy.data.minimum_confidence,
    )
    return Planned(plan, bundles, own)


def _as_of(deployment: Deployment, now: int, asked: Asked) -> int:
    """What is known by now; where events have times of their own, all that the lake holds."""
    return max(now, asked.until) + (3_650 * DAY if deployment.environment.replay_time else 0)


def _decided(deployment: Deployment, asked: Asked) -> list[_Found]:
    """The versions that decided in the stretch, from the lake.

    Raises
    ------
    ReplayError
        If nothing lies in it.
    """
    try:
        of_merchant = f" AND merchant_id = {quoted(asked.merchant)}" if asked.merchant else ""
    except ValueError:
        raise ReplayError("--merchant: that is no merchant id; `paywarden merchants list` shows them") from None
    time_of = f"event_time >= {asked.since:d} AND event_time < {asked.until:d}"
    # Where events have times of their own, the lake's days tell nothing of them.
    held = Days.of("decisions", asked.since, asked.until)
    days = (
        ""
        if deployment.environment.replay_time
        else f" AND day >= {quoted(held.first)} AND day <= {quoted(held.last)}"
    )
    sql = (
        "SELECT merchant_id, model_version, policy_version, rules_version, "  # noqa: S608 - texts are `quoted`, numbers `:d`
        f"min(recorded_at), max(recorded_at) FROM decisions WHERE {time_of}{days}{of_merchant} "
        "GROUP BY merchant_id, model_version, policy_version, rules_version"
    )
    try:
        rows = list(lake_of(deployment).rows(sql, until=time.monotonic() + LONGEST))
    except (QueryError, TooSlowError) as error:
        raise ReplayError(f"the lake cannot be read: {error}; try a shorter time") from error
    if not rows:
        whose = f" of merchant {asked.merchant}" if asked.merchant else ""
        raise ReplayError(
            f"no decision{whose} lies between {_moment(asked.since)} and {_moment(asked.until)} (UTC): name "
            "another time; a decision is in the lake some minutes after it was made"
        )
    found = []
    for row in rows:
        merchant, model, policy, rules = (each or "" for each in row[:4])
        first, last = int(row[4] or asked.since), int(row[5] or asked.until)
        found.append(_Found(merchant, model, policy, rules, first, last))
    return found


def _past(settings: SettingsStore, merchant: str, found: list[_Found]) -> MerchantPast:
    """What a merchant has set, and the versions that decided."""
    mine = [each for each in found if each.merchant == merchant]
    rules = {}
    for version in {each.rules for each in mine if each.rules.isdecimal()}:
        stored = settings.get(merchant, StoredRules, int(version))
        if stored is not None:
            rules[version] = stored
    policies: dict[str, Policy] = {}
    for version in {each.policy for each in mine}:
        number = version.removeprefix("own-")
        if number != version and number.isdecimal() and len(number) < 12:
            own = settings.get(merchant, StoredPolicy, int(number))
            if own is not None and own.policy is not None and own.policy.version == version:
                policies[version] = own.policy
    lists = []
    oldest = min(each.first for each in mine) - SETTLING
    for change in settings.versions(merchant, StoredLists, limit=_MOST_LISTS):
        stored_lists = settings.get(merchant, StoredLists, change.version)
        if stored_lists is not None:
            lists.append(stored_lists)
        if change.changed_at <= oldest:
            break
    current_policy = settings.get(merchant, StoredPolicy)
    return MerchantPast(
        rules=rules,
        policies=policies,
        lists=tuple(lists),
        current_rules=settings.get(merchant, StoredRules),
        current_policy=current_policy.policy if current_policy else None,
    )


def _rules(asked: Asked, merchants: dict[str, MerchantPast], now: int) -> tuple[Which, StoredRules | None]:
    if asked.rules in (SERVED, "current"):
        return ("served" if asked.rules == SERVED else "current"), None
    given = read_document(Path(asked.rules), Rules)
    # A condition may ask for a list of any merchant of the stretch; where it has none, the payment is not on it.
    lists = {each.name: each for past in merchants.values() for stored in past.lists[:1] for each in stored.lists}
    known = feature_set(asked.features) if asked.features != SERVED else STANDARD
    try:
        stored = checked(given, known, lists.values())
    except Problem as problem:
        where = f"{asked.rules}: {problem.body['field']}" if "field" in problem.body else asked.rules
        raise ReplayError(f"--rules {where}: {problem.body['detail']}") from None
    return "given", StoredRules(version=1, mode=given.mode, rules=stored, changed_at=now, changed_by="replay")


def _policy(asked: Asked) -> tuple[Which, Policy | None]:
    if asked.policy in (SERVED, "current"):
        return ("served" if asked.policy == SERVED else "current"), None
    return "given", read_document(Path(asked.policy), PolicyRequest).policy("given")


def _model(
    deployment: Deployment, asked: Asked, serving: Serving, found: list[_Found]
) -> tuple[str, tuple[str, ...], Path | None]:
    """The plan's model, the versions to take from the bucket, and a folder that is given."""
    if asked.model == SERVED:
        wanted = sorted({each.model for each in found if each.model})
        # One that is gone is counted by the replay, decision by decision.
        return SERVED, tuple(version for version in wanted if _is_there(deployment, version)), None
    folder = Path(asked.model)
    if folder.is_dir():
        from ops.scoring.models import model_in

        return model_in(folder).manifest.version, (), folder
    version = asked.model
    if version == "champion":
        if serving.champion is None:
            raise ReplayError("--model champion: no model serves yet; run `paywarden train`, or name a bundle")
        version = serving.champion
    if not _is_there(deployment, version):
        raise ReplayError(
            f"--model {version}: no such bundle or folder; name one that `paywarden models list` shows"
        )
    return version, (version,), None


def _is_there(deployment: Deployment, version: str) -> bool:
    key = f"bundles/{version}/manifest.json"
    try:
        deployment.client("s3").head_object(Bucket=deployment["ModelsBucket"], Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            return False
        raise
    return True


def _moment(time_: int) -> str:
    return f"{datetime.fromtimestamp(time_ / 1_000, UTC):%Y-%m-%d %H:%M}"
