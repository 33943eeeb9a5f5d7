"""The command that rewrites states: nothing is begun that some code could not read, and nothing without a word."""

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws
from typer.testing import CliRunner

from fraud.codec import VERSION
from fraud.features import Key
from fraud.state import State
from ops.migrating import commands
from ops.migrating.errors import MigrationError
from ops.migrating.readers import READERS, VARIABLE, refuse_unread
from ops.versions import LIVE
from runtime.stores.features import DynamoFeatureStore, Marker, Versioned
from tests.contract.forms import NEXT, known
from tests.tables import create_table
from tests.unit.ops.test_rollback import REGION, Deployment


class Migrated(Deployment):
    """The functions of `test_rollback`, and a table of states."""

    def __init__(self) -> None:
        super().__init__()
        create_table(self.client("dynamodb"), "features")
        self.features().commit(
            [Marker("e1", "d", 1, 2)], {Key("card", "a"): Versioned(State(newest=5))}, expires_at=2_000_000_000
        )

    def __getitem__(self, name: str) -> str:
        return {"FeaturesTable": "features"}[name]

    def features(self) -> Any:
        return DynamoFeatureStore(self.client("dynamodb"), "features", consistent=True)

    def deploys(self, forms: str) -> None:
        """New code of both functions reads these forms."""
        client = self.client("lambda")
        for each in client.list_functions()["Functions"]:
            variables = each["Environment"]["Variables"] | {VARIABLE: forms}
            client.update_function_configuration(
                FunctionName=each["FunctionName"], Environment={"Variables": variables}
            )

    def publish(self) -> str:
        return str(self.client("lambda").publish_version(FunctionName=self.name)["Version"])

    def shift(self, version: str, weights: dict[str, float]) -> None:
        self.client("lambda").update_alias(
            FunctionName=self.name,
            Name=LIVE,
            FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": weights},
        )


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Migrated]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws(), known():
        made = Migrated()
        monkeypatch.setattr(commands, "connect", lambda _env, *, port: made if port else None)
        monkeypatch.setattr(commands.console, "width", 200)
        yield made


def test_a_form_is_written_only_when_every_version_that_may_be_called_reads_it(deployment: Migrated) -> None:
    refuse_unread(deployment, VERSION)
    with pytest.raises(MigrationError, match=rf"{READERS[0]} \(version \$LATEST\) reads states in form 2, not 3"):
        refuse_unread(deployment, NEXT)
    deployment.deploys("2,3")
    with pytest.raises(MigrationError, match="version 2"):
        refuse_unread(deployment, NEXT)
    new = deployment.publish()
    deployment.shift(new, {"2": 0.9})
    with pytest.raises(MigrationError, match="wait until it has taken over all calls"):
        refuse_unread(deployment, NEXT)
    deployment.shift(new, {})
    refuse_unread(deployment, NEXT)
    with pytest.raises(MigrationError, match="reads states in form 2 and 3, not 4"):
        refuse_unread(deployment, 4)


def test_the_command_counts_asks_and_rewrites(deployment: Migrated, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*words: str, answer: str = "") -> Any:
        return CliRunner().invoke(commands.migrate_app, ["--to", str(NEXT), *words], input=answer)

    refused = run("--yes").exception
    assert isinstance(refused, MigrationError)
    deployment.deploys("2,3")
    deployment.shift(deployment.publish(), {})
    told = run("--dry-run")
    assert told.exit_code == 0, told.exception
    assert "Written is form 2, and would be form 3. States: 1 in form 2." in told.output
    assert run(answer="n\n").exit_code == 1
    assert deployment.features().look(())[0].form == VERSION
    moment = iter(range(0, 10**12, 30_000 * 10**6))
    monkeypatch.setattr(commands.time, "time_ns", lambda: next(moment))
    monkeypatch.setattr(commands.time, "sleep", lambda _seconds: None)
    done = run("--yes")
    assert done.exit_code == 0, done.exception
    assert "All states are in form 3: 1 rewritten, 0 by live traffic meanwhile." in done.output
    assert deployment.told == [("states", "migrate", {"before": {"form": VERSION}, "after": {"form": NEXT}})]
    assert deployment.features().look(())[0].form == NEXT
    assert "States: 1 in form 3." in run("--dry-run").output
