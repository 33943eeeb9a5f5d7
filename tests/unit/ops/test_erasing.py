"""Erasing people: what their tokens are made with goes, with what is kept under them, and nobody else's does."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
import msgspec
import pytest
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws
from typer.testing import CliRunner, Result

from fraud.features import STANDARD, Key
from fraud.lists import ListDefinition, StoredLists
from fraud.measures import namespace
from fraud.state import State
from fraud.tokens import Keyring, Tokeniser
from infra.environments import lookup
from ops import cli
from ops.deployment import Deployment
from ops.persons import ErasureError, commands, erase, finish, held_up, read_identifiers, waiting
from ops.persons.traces import keys_of
from ops.tokens import RotationError, Secret, rotate, shortest_overlap
from runtime import auditing
from runtime.stores.documents import Entry
from runtime.stores.merchants import Account
from runtime.stores.states import Versioned
from tests.tables import create_table
from tests.trails import audit_table, told

REGION = "eu-west-1"
FIRST, SECOND = "the first token key, 32 bytes or more", "the second token key, 32 bytes or more"
NOW = 1_767_261_600_000
LEAD = 4_000
"""Of the local cloud, in ms."""

EMAIL, STRANGER = "jane.roe@example.com", "someone.else@example.com"
CARD, OTHER_CARD = "tok-jane", "tok-someone"
JANE = [("mail", EMAIL), ("card", CARD)]
LINES = [json.dumps({"field": "email", "value": EMAIL}), json.dumps({"field": "card", "value": CARD})]


RELAY = "paywarden-local-relay"

CHANGES = frozenset(
    {"PutObject", "DeleteObjects", "PutSecretValue", "PutItem", "BatchWriteItem", "TransactWriteItems"}
)


class Aws:
    """What is asked of AWS: it fails, or somebody else comes first, where a test wants that."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self._versions: dict[str, str] = {}
        self._others: dict[str, Callable[[], object]] = {}
        self._left, self._done = -1, False
        self.seen: set[str] = set()

    def cut(self, at: int, *, done: bool) -> None:
        """Fail the call that changes something as number `at` from now, once it was done or before."""
        self._left, self._done = at, done

    def uncut(self) -> None:
        self._left = -1

    @property
    def cutting(self) -> bool:
        """Whether the call that is to fail did not come yet."""
        return self._left >= 0

    def meanwhile(self, operation: str, other: Callable[[], object]) -> None:
        """Let somebody else do something before the next call of a kind."""
        self._others[operation] = other

    def __call__(self, client: Any, operation: str, asked: dict[str, Any]) -> Any:
        if other := self._others.pop(operation, None):
            other()
        if operation not in CHANGES:
            return self._call(client, operation, asked)
        fails = self._left == 0
        self._left = max(self._left - 1, -1)
        if fails and not self._done:
            raise EndpointConnectionError(endpoint_url="https://aws")
        if operation == "PutSecretValue":
            # AWS takes no other content under a version's name; moto does.
            content = self._versions.setdefault(asked["ClientRequestToken"], asked["SecretString"])
            if content != asked["SecretString"]:
                error = {"Error": {"Code": "ResourceExistsException", "Message": "exists"}}
                raise client.exceptions.ResourceExistsException(error, operation)
        answer = self._call(client, operation, asked)
        if fails:
            raise EndpointConnectionError(endpoint_url="https://aws")
        self.seen.add(operation)
        return answer


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    made = Aws(BaseClient._make_api_call)
    monkeypatch.setattr(BaseClient, "_make_api_call", lambda *given: made(*given))
    return made


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        session = boto3.Session(region_name=REGION)
        monkeypatch.setattr(session, "client", cache(session.client))  # most of the time goes into making clients
        for kind in ("features", "settings", "merchants"):
            create_table(session.client("dynamodb"), kind)
        audit_table(session.client("dynamodb"))
        s3 = session.client("s3")
        s3.create_bucket(Bucket="keys", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_bucket_versioning(Bucket="keys", VersioningConfiguration={"Status": "Enabled"})
        secret = session.client("secretsmanager").create_secret(Name="tokens", SecretString=FIRST)["ARN"]
        resources = {
            "TokenSecret": secret,
            "TokenKeysBucket": "keys",
            "FeaturesTable": "features",
            "SettingsTable": "settings",
            "MerchantsTable": "merchants",
            "AuditTable": "audit",
            "UpdateQueueUrl": session.client("sqs").create_queue(QueueName="updates")["QueueUrl"],
        }
        monkeypatch.setattr(waiting, "deployed", lambda _deployment: {"relay_decisions": RELAY})
        found = Deployment(lookup("local"), session, resources)
        found.merchants().save(Account("shop", "standard", usage_key="", created_at=1, changed_at=1))
        yield found


def begin(deployment: Deployment, values: list[tuple[str, str]] = JANE, clock: int = NOW) -> Keyring:
    seeds = iter(range(100))
    return erase(
        Secret.of(deployment),
        values,
        clock=lambda: clock,
        fresh=lambda: next(seeds).to_bytes(32),
        reason="request 17",
    )


def keep(deployment: Deployment, tokens: list[str]) -> None:
    """A state of each token alone, a card's at the shop, and an entry of the shop's list."""
    states = {key: Versioned(State(), 0) for key in keys_of(STANDARD, tokens, ["shop"])}
    deployment.features().write([], {1: states}, expires_at=NOW)
    settings = deployment.settings()
    if settings.get("shop", StoredLists) is None:
        lists = (ListDefinition(name="blocked", field="email", action="block"),)
        settings.put("shop", StoredLists(version=1, lists=lists, changed_at=1, changed_by="key:k"))
    emails = [Entry(value=each, added_at=1, added_by="key:k") for each in tokens if each.startswith("mail_")]
    settings.change_entries("shop", "blocked", "email", now=NOW, by="key:k", add=emails)


def listed(deployment: Deployment) -> set[str]:
    return {each.value for each in deployment.settings().entries("shop", "blocked", now=NOW, limit=50)[0]}


def kept(deployment: Deployment, tokens: list[str]) -> set[Key]:
    return set(deployment.features().read(keys_of(STANDARD, tokens, ["shop"])))


def everything(deployment: Deployment) -> list[Tokeniser]:
    """What makes tokens from every version of the secret that has a label: others are AWS's to delete."""
    secret, found = Secret.of(deployment), []
    for label in ("AWSCURRENT", "AWSPREVIOUS"):
        text = secret.client.get_secret_value(SecretId=secret.secret_id, VersionStage=label)["SecretString"]
        found.append(secret.tokeniser(Keyring.parse(text)))
    return found


def erasures(deployment: Deployment) -> list[auditing.Entry]:
    return [each for each in told(deployment.trail) if each.kind == "erasure"]


def objects(deployment: Deployment) -> list[str]:
    versions = deployment.client("s3").list_object_versions(Bucket="keys").get("Versions", [])
    return [each["Key"] for each in versions]


def test_what_is_kept_under_a_persons_tokens_goes_and_a_strangers_stays(deployment: Deployment) -> None:
    before = deployment.tokeniser()
    hers, others = before.tokens(JANE), before.tokens([("mail", STRANGER), ("card", OTHER_CARD)])
    keep(deployment, hers + others)
    assert {key.entity for key in kept(deployment, hers)} == {"email", "card", "card_merchant"}
    ring = begin(deployment)
    assert kept(deployment, hers)
    done = finish(deployment, clock=NOW + LEAD)
    assert (done.tokens, done.states, done.entries) == (2, 3, 1)
    # The version that the deployment began with: moto keeps it without a label, as AWS does for a while.
    assert done.within_reach == 1
    assert kept(deployment, hers) == set()
    assert len(kept(deployment, others)) == 3
    assert listed(deployment) == {others[0]}
    for made in [deployment.tokeniser(), *everything(deployment)]:
        assert set(made.tokens(JANE)).isdisjoint(hers)
        assert made.tokens([("mail", STRANGER), ("card", OTHER_CARD)]) == others
    assert objects(deployment) == [f"trees/{ring.trees}"]
    assert FIRST not in json.dumps([each.keyring.text() for each in everything(deployment)])


def test_both_keys_of_an_overlap_forget(deployment: Deployment) -> None:
    rotate(Secret.of(deployment), SECOND, clock=NOW, lead=4.0, overlap=shortest_overlap())
    before = deployment.tokeniser()
    hers, others = before.tokens(JANE), before.tokens([("mail", STRANGER)])
    assert len(hers) == 4
    keep(deployment, hers)
    begin(deployment)
    assert finish(deployment, clock=NOW + LEAD).states == 6
    after = deployment.tokeniser()
    assert set(after.tokens(JANE)).isdisjoint(hers)
    assert after.tokens([("mail", STRANGER)]) == others
    assert after.keyring.until == before.keyring.until


def test_it_is_finished_when_every_process_has_the_new_keys_and_once(deployment: Deployment) -> None:
    ring = begin(deployment)
    with pytest.raises(ErasureError, match="1 more seconds"):
        finish(deployment, clock=NOW + LEAD - 1)
    with pytest.raises(ErasureError, match="not finished"):
        begin(deployment, [("tel", "+33123456789")])
    assert Secret.of(deployment).read()[0] == ring
    finish(deployment, clock=NOW + LEAD)
    with pytest.raises(ErasureError, match="no erasure"):
        finish(deployment, clock=NOW + LEAD)
    again = begin(deployment, clock=NOW + LEAD)
    assert again.trees != ring.trees
    finish(deployment, clock=NOW + 2 * LEAD)


def test_wherever_it_is_cut_off_it_goes_on(deployment: Deployment, aws: Aws) -> None:
    """Each call that changes something fails once, before it is done and after, in an erasure of its own."""
    stranger = deployment.tokeniser().tokens([("mail", STRANGER)])
    clock, at, reached = NOW, 0, True
    while reached:
        for done in (False, True):
            person = [("mail", f"{at}.{done}.jane@example.com"), ("card", f"tok-{at}-{done}")]
            hers = deployment.tokeniser().tokens(person)
            keep(deployment, hers)
            aws.cut(at, done=done)
            begun = finished = False
            while not finished:
                clock += LEAD
                try:
                    if not begun and not Secret.of(deployment).read()[0].erased:
                        begin(deployment, person, clock=clock)
                    begun = True
                    clock += LEAD
                    finish(deployment, clock=clock)
                    finished = True
                except EndpointConnectionError:
                    ring, _ = Secret.of(deployment).read()
                    begun = begun or bool(ring.erased)
                    # No list of tokens that are still made stays behind.
                    assert begun or not [each for each in objects(deployment) if each.startswith("erased/")]
                except ErasureError:
                    finished = not Secret.of(deployment).read()[0].erased  # the last call came through
                    assert finished
            reached = not aws.cutting
            aws.uncut()
            ring, _ = Secret.of(deployment).read()
            assert (ring.erased, ring.erased_at) == ("", 0)
            assert objects(deployment) == [f"trees/{ring.trees}"]
            assert kept(deployment, hers) == set()
            assert listed(deployment).isdisjoint(hers)
            assert deployment.tokeniser().tokens([("mail", STRANGER)]) == stranger
            assert all(set(made.tokens(person)).isdisjoint(hers) for made in everything(deployment))
        at += 1
    assert aws.seen == CHANGES
    assert at > 8


@pytest.mark.parametrize("meanwhile", ["PutItem", "PutSecretValue"])
def test_who_tidies_up_while_an_erasure_begins_takes_its_place_and_no_key(
    deployment: Deployment, aws: Aws, meanwhile: str
) -> None:
    """What was put and is not named yet is deleted, so that it must not be named any more."""
    before = deployment.tokeniser().tokens(JANE)
    aws.meanwhile(meanwhile, lambda: Secret.of(deployment).mend())
    with pytest.raises(RotationError, match="somebody else"):
        begin(deployment)
    assert deployment.tokeniser().tokens(JANE) == before
    assert objects(deployment) == []
    begin(deployment)
    assert set(deployment.tokeniser().tokens(JANE)).isdisjoint(before)


@pytest.mark.parametrize("meanwhile", ["PutSecretValue", "DeleteObjects"])
def test_an_erasure_that_begins_while_somebody_tidies_up_keeps_its_objects(
    deployment: Deployment, aws: Aws, meanwhile: str
) -> None:
    secret = Secret.of(deployment)
    hers, others = (deployment.tokeniser().tokens(each) for each in (JANE, [("mail", STRANGER)]))
    secret.put_erased(["mail_of_a_write_that_failed"])
    aws.meanwhile(meanwhile, lambda: begin(deployment))
    try:
        secret.mend()
    except RotationError:
        assert meanwhile == "PutSecretValue"
    ring, _ = secret.read()
    assert secret.erased(ring) == hers
    assert deployment.tokeniser().tokens([("mail", STRANGER)]) == others


def test_the_time_of_an_erasure_is_that_of_its_write(deployment: Deployment) -> None:
    moments = iter(range(NOW, NOW + 100))
    made = erase(Secret.of(deployment), JANE, clock=lambda: next(moments), fresh=lambda: b"1" * 32, reason="17")
    assert made == Secret.of(deployment).read()[0]
    assert made.erased_at == next(moments) - 1


def test_it_is_not_finished_while_payments_are_on_their_way(deployment: Deployment) -> None:
    queue, cloudwatch = deployment.client("sqs"), deployment.client("cloudwatch")
    url = deployment["UpdateQueueUrl"]
    begin(deployment)

    def measured(space: str, metric: str, value: float, seconds: int, **dimension: str) -> None:
        (named,) = [{"Name": name, "Value": of} for name, of in dimension.items()]
        moment = datetime.fromtimestamp(NOW / 1_000 + seconds, UTC)
        data = {"MetricName": metric, "Value": value, "Timestamp": moment, "Dimensions": [named]}
        cloudwatch.put_metric_data(Namespace=space, MetricData=[data])

    def refused(why: str, seconds: int) -> None:
        with pytest.raises(ErasureError, match=why):
            finish(deployment, clock=NOW + LEAD + seconds * 1_000)

    measured(namespace("local"), "KeyringRefreshFailed", 1, 0, service="manage_settings")
    refused("manage_settings could not read the new keys", 10)
    measured("AWS/Lambda", "IteratorAge", 900_000, 800, FunctionName=RELAY)
    refused("relay still carries", 890)
    queue.send_message(QueueUrl=url, MessageBody="{}")
    refused("queue of updates", 1_300)  # how old it is is not known yet
    measured("AWS/SQS", "ApproximateAgeOfOldestMessage", 1_100, 1_290, QueueName="updates")
    refused("queue of updates", 1_330)
    assert held_up(deployment, NOW + LEAD, clock=NOW + LEAD + 1_341_000) == ""
    queue.purge_queue(QueueUrl=url)
    assert finish(deployment, clock=NOW + LEAD + 1_330_000).tokens == 2


def test_the_audit_trail_tells_that_and_why_and_not_who(deployment: Deployment) -> None:
    hers = deployment.tokeniser().tokens(JANE)
    keep(deployment, hers)
    already = told(deployment.trail)
    begin(deployment)
    finish(deployment, clock=NOW + LEAD)
    entries = [each for each in told(deployment.trail) if each not in already]
    assert sorted((each.kind, each.action) for each in entries) == [
        ("entries", "erase"),
        ("erasure", "begin"),
        ("erasure", "finish"),
    ]
    (listed_,) = [each for each in entries if each.kind == "entries"]
    assert (listed_.subject, listed_.of) == ("merchant#shop", "blocked")
    assert (listed_.before, listed_.after) == ({"entries": 1}, {"entries": 0})
    (first,) = [each for each in entries if each.action == "begin"]
    assert first.reason == "request 17"
    assert "arn:aws" in first.who
    text = msgspec.json.encode(entries).decode()
    for value in (EMAIL, CARD, *hers):
        assert value not in text


def test_a_punctured_ring_that_names_another_object_is_of_no_use(deployment: Deployment) -> None:
    ring = begin(deployment)
    deployment.client("s3").put_object(Bucket="keys", Key=f"trees/{ring.trees}", Body=b"something else")
    with pytest.raises(ValueError, match="not the one"):
        deployment.tokeniser()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("jane.roe@example.com", "line 2: no JSON"),
        ('{"field": "name", "value": "Jane"}', "line 2: no JSON"),
        ('{"field": "bin", "value": "411111"}', "line 2: no JSON"),
        ('{"field": "customer", "value": "c-1"}', "`merchant` goes with"),
        ('{"field": "card", "value": "tok", "merchant": "shop"}', "`merchant` goes with"),
        ('{"field": "customer", "value": "c-1", "merchant": "nowhere"}', "no such merchant"),
        ('{"field": "ip", "value": "not an address"}', "line 2: "),
        ('{"field": "phone", "value": "12"}', "line 2: "),
        ('{"field": "card", "value": ""}', "line 2: "),
    ],
)
def test_a_line_that_can_be_of_no_payment_is_refused_and_not_repeated(line: str, error: str) -> None:
    made = Tokeniser(FIRST.encode())
    with pytest.raises(ErasureError, match=error) as refused:
        read_identifiers([LINES[0], line], made, clock=NOW, known=lambda name: name == "shop")
    for value in ("jane.roe", "Jane", "c-1", "not an address", "nowhere"):
        assert value not in str(refused.value)


def test_identifiers_are_read_as_payments_have_them() -> None:
    lines = [
        json.dumps({"field": "email", "value": EMAIL.upper()}),
        "",
        json.dumps({"field": "email", "value": EMAIL}),
        json.dumps({"field": "customer", "value": "c-1", "merchant": "shop"}),
        json.dumps({"field": "ip", "value": "2001:DB8::1"}),
    ]
    made = Tokeniser(FIRST.encode())
    found = read_identifiers(lines, made, clock=NOW, known=lambda name: name == "shop")
    assert found == [("mail", EMAIL), ("cust", "shop\0c-1"), ("ip", "2001:db8::1")]
    with pytest.raises(ErasureError, match="nothing is given"):
        read_identifiers(["", " "], made, clock=NOW, known=lambda _name: True)


@pytest.fixture
def run(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    clock = [NOW]
    monkeypatch.setattr(commands, "connect", lambda *_given, **_named: deployment)
    monkeypatch.setattr(commands, "now", lambda: clock[0])

    def sleep(seconds: float) -> None:
        clock[0] += round(seconds * 1_000)

    monkeypatch.setattr(time, "sleep", sleep)

    def call(*words: str, given: str = "") -> Result:
        result = CliRunner().invoke(cli.app, ["erase", *words], input=given)
        assert EMAIL not in result.output
        assert CARD not in result.output
        return result

    return call


def test_the_command_asks_waits_and_says_what_went(deployment: Deployment, run: Callable[..., Result]) -> None:
    hers = deployment.tokeniser().tokens(JANE)
    keep(deployment, hers)
    person = ("person", "-", "--reason", "request 17")
    looked = run(*person, "--dry-run", given="\n".join(LINES))
    assert looked.exit_code == 0
    assert "2 tokens would be erased; 3 states" in " ".join(looked.output.split())
    assert run(*person, given="\n".join(LINES)).exit_code == 1  # nobody said yes
    assert deployment.tokeniser().tokens(JANE) == hers
    assert erasures(deployment) == []
    begun = run(*person, "--yes", "--no-wait", given="\n".join(LINES))
    assert "2026-01-01 10:00:04 UTC" in begun.output
    status = run("status", "--check")
    assert status.exit_code == 1
    assert "2 tokens are being erased" in " ".join(status.output.split())
    assert isinstance(run("finish").exception, ErasureError)
    assert isinstance(run(*person, "--yes", given="\n".join(LINES)).exception, ErasureError)
    time.sleep(5)  # as the clock of the test goes
    done = run("finish")
    assert "2 tokens are gone, with 3 states and 1 entries" in " ".join(done.output.split())
    status = run("status", "--check")
    assert status.exit_code == 0
    assert "No erasure is under way." in status.output
    waited = run(*person, "--yes", given="\n".join(LINES))
    assert "2 tokens are gone, with 0 states and 0 entries" in " ".join(waited.output.split())
