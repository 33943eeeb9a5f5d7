"""The operators' command: `paywarden --help` teaches."""

import sys
import time
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import TaskID

from ops.audit.commands import audit_app
from ops.backtests.commands import backtest_rules
from ops.backtests.walking import backtest
from ops.capacity.commands import capacity
from ops.contract.commands import api_app
from ops.dashboards.commands import dashboards
from ops.deployment import DeploymentError, connect
from ops.explaining.commands import explain
from ops.featurestore.commands import features_app, parity
from ops.inputs import MappingError, schedule
from ops.inventory.commands import inventory
from ops.labels.commands import labels_app
from ops.localcloud.errors import LocalCloudError
from ops.localcloud.settings import DEFAULT_PORT
from ops.logs.commands import logs
from ops.merchants.commands import merchants_app
from ops.migrating.commands import migrate_app
from ops.models.commands import models_app
from ops.monitoring import MonitoringError, monitor
from ops.persons.commands import erase_app
from ops.pruning import prune_versions
from ops.queues.commands import quarantine_app, redrive
from ops.rebuilding.commands import rebuild_state
from ops.recovery.commands import restore_app
from ops.replaying.commands import replay
from ops.rollback import rollback_app
from ops.runs import train
from ops.scoring.commands import score
from ops.settings.commands import lists_app, policy_app, rules_app
from ops.status.commands import resources, status
from ops.terminal import (
    Env,
    Limit,
    MappingFile,
    Port,
    Since,
    Table_,
    Until,
    console,
    mapping_of,
    ms,
    progress_bars,
)
from ops.times import now
from ops.tokens.commands import tokens_app
from ops.tracing.commands import trace

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Run, feed and look after a Paywarden deployment, on AWS or in the local cloud.",
)
app.add_typer(merchants_app, name="merchants")
app.add_typer(features_app, name="features")
app.add_typer(tokens_app, name="tokens")
app.add_typer(erase_app, name="erase")
app.add_typer(api_app, name="api")
app.add_typer(rules_app, name="rules")
app.add_typer(lists_app, name="lists")
app.add_typer(policy_app, name="policy")
app.add_typer(models_app, name="models")
app.add_typer(audit_app, name="audit")
app.add_typer(labels_app, name="labels")
app.add_typer(restore_app, name="restore")
app.add_typer(rollback_app, name="rollback")
app.add_typer(migrate_app, name="migrate")
app.add_typer(quarantine_app, name="quarantine")
app.command()(status)
app.command()(resources)
app.command()(redrive)
app.command()(logs)
app.command("rebuild-state")(rebuild_state)
app.command("prune-versions")(prune_versions)
app.command()(parity)
app.command("backtest-rules")(backtest_rules)
app.command()(backtest)
app.command()(score)
app.command()(explain)
app.command()(dashboards)
app.command()(trace)
app.command()(train)
app.command()(monitor)
app.command()(replay)
app.command()(capacity)
app.command()(inventory)


@app.command()
def up(port: Port = DEFAULT_PORT) -> None:
    """Start the local cloud and deploy the platform to it. It stays until `paywarden down`."""
    from ops.localcloud.control import up as start
    from ops.localcloud.deploy import bootstrap_and_deploy

    with progress_bars() as progress:
        task = progress.add_task("starting the local cloud", total=None)
        start(port)
        progress.update(task, description="deploying five stacks (cdk bootstrap, cdk deploy)")
        bootstrap_and_deploy(port, lambda line: progress.update(task, description=_short(line)))
    deployment = connect("local", port=port)
    console.print(f"The platform is up. Its API: [bold]{deployment.api_url}[/bold]")
    console.print("Next: `.venv/bin/paywarden merchants add shop-1` gives a key to call it with.")


@app.command()
def down(port: Port = DEFAULT_PORT) -> None:
    """End the local cloud and everything it started."""
    from ops.localcloud.control import down as stop

    console.print("The local cloud is down." if stop(port) else "No local cloud was running.")


@app.command()
def url(env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Print the address of the API, for scripts."""
    sys.stdout.write(connect(env, port=port).api_url + "\n")


@app.command("import")
def import_(
    path: Table_,
    mapping: MappingFile,
    name: Annotated[str | None, typer.Option("--name", help="Of the import; the file's name by default.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Import past payments: into the lake for training, and their state into the feature store."""
    from ops.history import import_history
    from ops.inputs.reading import read
    from ops.inputs.rows import from_frame

    deployment = connect(env, port=port)
    frames = read(path, mapping_of(mapping), since=ms(since), until=ms(until), limit=limit)
    with progress_bars() as progress:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        rows = [row for frame in frames for row in from_frame(frame)]
        imported = import_history(
            deployment, name or path.stem, rows, clock=now(), sleep=time.sleep, progress=show
        )
    console.print(
        f"{imported.rows} rows in the lake; {imported.states} states written, {imported.unchanged} were there "
        f"already; {imported.later_labels} labels were not known yet and wait in the lake."
    )


@app.command("send")
def send_(
    path: Table_,
    mapping: MappingFile,
    key: Annotated[str, typer.Option("--key", envvar="PAYWARDEN_KEY", help="The merchant's secret key.")],
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    threads: Annotated[int, typer.Option("--threads", min=1, max=32, help="Calls under way at once.")] = 4,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Send past payments and their labels over HTTP in event order, as the merchant whose key is given.

    Event times are those of the file where the environment replays (local, dev).
    """
    from ops.client import Api
    from ops.history import LaterLabels
    from ops.inputs.reading import read
    from ops.inputs.rows import from_frame
    from ops.measures import latency_table
    from ops.merchants import as_merchant, merchant_of
    from ops.traffic import Freshness
    from ops.traffic import replay as send

    deployment = connect(env, port=port)
    frames = read(path, mapping_of(mapping), since=ms(since), until=ms(until), limit=limit)
    merchant = merchant_of(deployment, key, at=now())
    rows = [as_merchant(row, merchant) for frame in frames for row in from_frame(frame)]
    api = Api(deployment.api_url, {merchant: key}, threads=threads)
    replays = deployment.environment.replay_time
    with progress_bars() as progress:
        task = progress.add_task("sending", total=sum(1 + (row.label is not None) for row in rows))
        done = send(
            api,
            schedule(rows),
            threads=threads,
            live=not replays,
            before=LaterLabels(deployment, clock=now, sleep=time.sleep) if replays else lambda _arrival: None,
            settle=Freshness(deployment.features()) if replays else lambda _arrivals: None,
            progress=lambda count: progress.update(task, completed=count),
        )
    refused = [exchange.reply for exchange in done.exchanges if exchange.reply.status >= 300]
    console.print(latency_table(done))
    if refused:
        console.print(f"[red]{len(refused)} of {len(done.exchanges)} calls were refused; the first answer:[/red]")
        console.print(refused[0].body.decode(errors="replace"), markup=False)
        raise typer.Exit(1)


@app.command()
def demo(
    port: Port = 4599,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the local cloud running afterwards.")] = False,
    seed: Annotated[int, typer.Option(help="Of the generated world.")] = 4,
) -> None:
    """Run the whole platform here: deploy, train, replay, retrain, report (build/demo/report.html)."""
    from ops.demo.run import run

    raise typer.Exit(run(console, port=port, keep=keep, seed=seed))


def main() -> None:
    """Run the command; errors that a person can act on are printed without a traceback."""
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    from fraud.tokens import KeyringError
    from ops.audit.errors import AuditError
    from ops.backtests.trying import BacktestError
    from ops.explaining.errors import ExplainError
    from ops.featurestore.catalogue import CatalogueError
    from ops.featurestore.lifecycle import GenerationError
    from ops.featurestore.merging import BusyError
    from ops.featurestore.online import ParityError
    from ops.functions import FunctionError
    from ops.history import ImportConflictError
    from ops.inputs.errors import RowError
    from ops.labels.errors import MaturityError
    from ops.labels.reading import LabelFileError
    from ops.merchants import MerchantError
    from ops.migrating.errors import MigrationError
    from ops.models.desk import ModelError
    from ops.persons import ErasureError
    from ops.queues.letters import QueueError
    from ops.recovery.errors import RecoveryError
    from ops.replaying.errors import ReplayError
    from ops.retraining import RetrainingError
    from ops.rollback import RollbackError
    from ops.scoring.errors import ScoringError
    from ops.settings import RefusedError
    from ops.tokens import RotationError
    from ops.tracing.errors import TraceError
    from runtime.configuration import ConfigurationError
    from runtime.stores.batches import ThrottledError
    from training.engines.events import EventTableError

    try:
        app()
    except (
        AuditError,
        BacktestError,
        BusyError,
        CatalogueError,
        ConfigurationError,
        DeploymentError,
        ErasureError,
        EventTableError,
        ExplainError,
        FunctionError,
        GenerationError,
        ImportConflictError,
        KeyringError,
        LabelFileError,
        LocalCloudError,
        MappingError,
        MaturityError,
        MerchantError,
        MigrationError,
        ModelError,
        MonitoringError,
        ParityError,
        QueueError,
        RecoveryError,
        RefusedError,
        ReplayError,
        RetrainingError,
        RollbackError,
        RotationError,
        RowError,
        ScoringError,
        TraceError,
    ) as error:
        console.print(f"[red]paywarden:[/red] {escape(str(error))}", highlight=False)
        raise SystemExit(1) from error
    except ThrottledError as error:
        hint = "wait some minutes, then run this again"
        console.print(f"[red]paywarden:[/red] {escape(str(error))}: {hint}", highlight=False)
        raise SystemExit(1) from error
    except (BotoCoreError, ClientError, HTTPError) as error:
        # The deployment was found before: what fails now is a permission, the network, or AWS.
        hint = "check your permissions and the network, and try again; `paywarden status` shows what is there"
        console.print(f"[red]paywarden:[/red] {escape(str(error))}: {hint}", highlight=False)
        raise SystemExit(1) from error


def _short(line: str, width: int = 90) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"
