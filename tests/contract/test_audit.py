"""A change of a table is told to the audit trail with it, or not made: by both kinds of every store."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from fraud.policy import Policy, Thresholds
from fraud.serving import Serving
from runtime.auditing import AuditTrail, Entry, MemoryTrail
from runtime.stores.documents import Entry as Value
from runtime.stores.documents import MovedError, StoredPolicy
from runtime.stores.lineages import Event, Lineage, Served
from runtime.stores.merchants import (
    Account,
    AccountChangedError,
    Credential,
    DynamoMerchantStore,
    MemoryMerchantStore,
    MerchantStore,
)
from runtime.stores.releases import DynamoReleaseStore, MemoryReleaseStore, ReleaseStore
from runtime.stores.settings import DynamoSettingsStore, MemorySettingsStore, SettingsStore
from runtime.stores.transactions import ConflictError
from tests import trails

NOW = 1_767_000_000_000
POLICY = Policy(version="p1", thresholds=Thresholds(challenge=0.2, review=0.5, decline=0.8))
STRICT = StoredPolicy(version=1, policy=POLICY, changed_at=NOW, changed_by="key:k1")
KEY = Credential("k1", "shop", "5ec2e7" * 10, plan="standard", created_at=NOW)
ACCOUNT = Account("shop", "standard", "c0un7ed", created_at=NOW, changed_at=NOW, keys=(KEY,))


@dataclass
class World:
    settings: SettingsStore
    releases: ReleaseStore
    merchants: MerchantStore
    entries: Callable[[], list[Entry]]

    def told(self) -> list[tuple[str, str, str, str, Any, Any]]:
        return [
            (each.kind, each.subject, each.action, each.who, each.before, each.after) for each in self.entries()
        ]


def in_memory() -> World:
    settings, releases, merchants = MemorySettingsStore(), MemoryReleaseStore(), MemoryMerchantStore()

    def entries() -> list[Entry]:
        told = [*settings.trail.entries, *releases.trail.entries, *merchants.trail.entries]
        return [msgspec.json.decode(msgspec.json.encode(each), type=Entry) for each in told]

    return World(settings, releases, merchants, entries)


def in_tables(client: Any, trail: AuditTrail | None) -> World:
    return World(
        DynamoSettingsStore(client, "settings", trail),
        DynamoReleaseStore(client, "releases", trail),
        DynamoMerchantStore(client, "merchants", trail),
        lambda: trails.told(AuditTrail(client, "audit")),
    )


@pytest.fixture(params=["memory", "dynamodb"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return in_memory()
    client = request.getfixturevalue("dynamodb")
    return in_tables(client, AuditTrail(client, "audit"))


def lineage() -> Lineage:
    return Lineage(
        version="run-1",
        created_at=1,
        dataset="d1",
        code_version="c0ffee",
        parameters={},
        metrics={},
        package="arn:package",
        artifact="s3://models/model.tar.gz",
        evaluation="s3://models/evaluation/",
        events=(Event(what="registered", at=NOW, by="retrain:run-1"),),
    )


def served(number: int) -> Served:
    document = Serving(policy=POLICY, champion=f"run-{number}")
    return Served(number=number, document=document, at=NOW, by="arn:jane", reason="r", configuration=str(number))


def test_a_document_is_told_from_what_to_what_and_only_when_it_changes(world: World) -> None:
    world.settings.put("shop", STRICT)
    own = msgspec.structs.replace(STRICT, version=2, policy=None, changed_at=NOW + 1, changed_by="key:k2")
    world.settings.put("shop", own)
    world.settings.put("shop", msgspec.structs.replace(own, version=3))
    with pytest.raises(MovedError):
        world.settings.put("shop", own)
    first, second = (msgspec.json.decode(msgspec.json.encode(each)) for each in (STRICT, own))
    assert world.told() == [
        ("policy", "merchant#shop", "put", "key:k1", None, first),
        ("policy", "merchant#shop", "put", "key:k2", first, second),
    ]


def test_a_value_that_is_taken_off_a_list_leaves_what_it_was_and_who_did_it(world: World) -> None:
    value = Value(value="card_1", added_at=NOW, added_by="key:k1", note="seen")
    for now, add, remove in ((NOW, [value], []), (NOW + 1, [value], []), (NOW + 2, [], ["card_1", "card_2"])):
        world.settings.change_entries("shop", "stolen#1", "card", now=now, by="key:k2", add=add, remove=remove)
    held = {"card_1": {"added_at": NOW, "added_by": "key:k1", "expires_at": 0}}
    assert world.told() == [
        ("entries", "merchant#shop", "change", "key:k2", {"card_1": None}, held),
        ("entries", "merchant#shop", "change", "key:k2", held, {"card_1": None}),
    ]
    assert [each.of for each in world.entries()] == ["stolen#1", "stolen#1"]


def test_what_happens_to_a_model_and_what_serves_is_told(world: World) -> None:
    world.releases.register(lineage())
    world.releases.register(lineage())
    for _ in range(2):
        world.releases.happened("run-1", Event(what="approved", at=NOW + 1, by="arn:jane", reason="good"))
    for number in (1, 2):
        world.releases.serves(served(number))
    with pytest.raises(ConflictError):
        world.releases.serves(served(2))
    told = {kind: [each for each in world.told() if each[0] == kind] for kind in ("model", "serving")}
    assert told["model"] == [
        ("model", "platform", "registered", "retrain:run-1", None, "registered"),
        ("model", "platform", "approved", "arn:jane", "registered", "approved"),
    ]
    documents = [msgspec.json.decode(msgspec.json.encode(served(number).document)) for number in (1, 2)]
    # Both of one moment, so in no order that counts.
    assert sorted(told["serving"], key=lambda each: each[4] is not None) == [
        ("serving", "platform", "deploy", "arn:jane", None, documents[0]),
        ("serving", "platform", "deploy", "arn:jane", documents[0], documents[1]),
    ]


def test_a_merchants_keys_are_told_by_their_ids_and_nothing_that_opens(world: World) -> None:
    world.merchants.save(ACCOUNT, KEY, action="add")
    ended = replace(KEY, disabled_at=NOW + 5)
    account = replace(ACCOUNT, version=2, changed_at=NOW + 5, keys=(ended,))
    world.merchants.save(account, ended, action="disable")
    with pytest.raises(AccountChangedError):
        world.merchants.save(account, ended, action="disable")
    added, disabled = world.entries()
    assert [(each.action, each.of) for each in (added, disabled)] == [("add", "k1"), ("disable", "k1")]
    assert added.before is None
    assert disabled.before == added.after
    assert disabled.after["keys"]["k1"]["disabled_at"] == NOW + 5
    for secret in (KEY.secret_hash, ACCOUNT.usage_key):
        assert secret.encode() not in msgspec.json.encode([added, disabled])


def test_without_a_trail_tables_are_read_and_not_changed(dynamodb: Any) -> None:
    world = in_tables(dynamodb, None)
    for change in (
        lambda: world.settings.put("shop", STRICT),
        lambda: world.releases.serves(served(1)),
        lambda: world.merchants.save(ACCOUNT, KEY),
    ):
        with pytest.raises(TypeError, match="audit trail"):
            change()
    assert world.settings.get("shop", StoredPolicy) is None


def test_a_trail_that_is_away_lets_nothing_be_changed(dynamodb: Any) -> None:
    world = in_tables(dynamodb, AuditTrail(dynamodb, "elsewhere"))
    with pytest.raises(Exception, match="ResourceNotFound"):
        world.settings.put("shop", STRICT)
    assert world.settings.get("shop", StoredPolicy) is None


def test_who_calls_is_who_aws_says_and_not_who_they_say(dynamodb: Any) -> None:
    trail = AuditTrail(dynamodb, "audit", who=lambda: "arn:aws:iam::1:user/jane")
    in_tables(dynamodb, trail).settings.put("shop", msgspec.structs.replace(STRICT, changed_by="operator:mallory"))
    [entry] = trails.told(trail)
    assert (entry.who, entry.after["changed_by"]) == ("arn:aws:iam::1:user/jane", "operator:mallory")


def test_of_one_moment_both_are_kept() -> None:
    trail = MemoryTrail()
    entry = Entry(at=NOW, who="a", kind="code", subject="platform", action="roll back")
    parts = {AuditTrail(None, "audit").part(entry)["Put"]["Item"]["id"]["S"] for _ in range(50)}  # type: ignore[arg-type]
    trail.record(entry)
    assert len(parts) == 50
    assert trail.entries == [entry]
