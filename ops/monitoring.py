"""`paywarden monitor`: looks at models and data now, tells what was found, and fetches the report."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from botocore.exceptions import ClientError
from rich.markup import escape
from rich.table import Table

from fraud.monitoring import MonitoringVerdict
from fraud.runids import run_id_of
from ops import executions
from ops.deployment import Deployment, connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port, Yes, ask, console, progress_bars

__all__ = ["Look", "MonitoringError", "fetch", "follow", "monitor", "start"]

FOLDER: Final = Path("build/monitoring")
FILES: Final = ("monitoring.json", "report.html", "consistency.json", "consistency.html")


class MonitoringError(Exception):
    """The look failed or cannot be followed; the message says why."""


@dataclass(frozen=True)
class Look:
    """A look that has ended.

    Attributes
    ----------
    run_id : str
    looked : bool
        False where no payment was decided yet; nothing of what follows is there then.
    passed : bool
    reason : str
    retraining : str
        The execution that was started for drift; or nothing.
    told : str
        What came of a retraining.
    """

    run_id: str
    looked: bool
    passed: bool = True
    reason: str = ""
    retraining: str = ""
    told: str = ""


class _Found(msgspec.Struct, frozen=True):
    verdict: MonitoringVerdict


def monitor(
    days: Annotated[
        float | None, typer.Option(min=0.01, max=31, help="How long to look back; as the deployment says.")
    ] = None,
    act: Annotated[
        bool, typer.Option("--act", help="Do as the daily look does: count, and retrain for drift. It asks.")
    ] = False,
    yes: Yes = False,
    of: Annotated[
        str, typer.Option("--fetch", help="Start none, but fetch the report of this one, which has ended.")
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow it to its end, or leave it to itself.")
    ] = True,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Look at models and data now: drift, decisions, labels, consistency, exactly-once.

    The report is copied to build/monitoring/ID, and nothing else changes. With --act it counts as the daily one
    does: alarms go by its figures, and drift past a bound starts a retraining, unless one runs or was started for
    drift lately. Stopping this command does not stop the look.
    """
    deployment = connect(env, port=port)
    if of:
        _show(fetch(deployment, of, FOLDER / run_id_of(of)))
        return
    question = f"Let the alarms of {env} go by what this look finds, and a retraining start if it finds drift?"
    if act:
        ask(question, yes=yes)
    arn = start(deployment, f"manual-{datetime.now(UTC):%Y%m%d-%H%M%S}", days=days, act=act)
    name = arn.rpartition(":")[2]
    if not wait:
        console.print(f"look {name} goes on by itself: {arn}", markup=False, highlight=False)
    told = f"`paywarden monitor --fetch {name} --env {env}` has its report once it has ended."
    console.print(told, highlight=False, soft_wrap=True)
    if not wait:
        return
    with progress_bars() as progress:
        task = progress.add_task(name, total=None)
        look = follow(deployment, arn, entered=lambda state: progress.update(task, description=f"{name}: {state}"))
    if not look.looked:
        console.print("No payment was decided yet: there is nothing to look at.")
        return
    _show(fetch(deployment, look.run_id, FOLDER / look.run_id))
    console.print(f"retraining: {look.told}", markup=False, highlight=False)


def start(deployment: Deployment, name: str, *, days: float | None = None, act: bool = False) -> str:
    """Start an execution, which counts and retrains only where it may act; return its ARN."""
    asked: dict[str, Any] = {"reason": "started by `paywarden monitor`", "look_only": not act}
    if days is not None:
        asked["days"] = days
    started = deployment.client("stepfunctions").start_execution(
        stateMachineArn=deployment["MonitorStateMachine"], name=name, input=msgspec.json.encode(asked).decode()
    )
    return str(started["executionArn"])


def follow(
    deployment: Deployment,
    arn: str,
    *,
    timeout: float = 7_200,
    entered: Callable[[str], None] = lambda _state: None,
) -> Look:
    """Wait for an execution.

    Raises
    ------
    MonitoringError
        If it fails or is not done in time.
    """
    name = arn.rpartition(":")[2]
    try:
        described, last = executions.follow(deployment, arn, timeout=timeout, entered=entered)
    except TimeoutError as error:
        raise MonitoringError(f"look {name} {error}") from error
    if described["status"] != "SUCCEEDED":
        words = executions.cause(deployment.client("stepfunctions"), arn, described)
        raise MonitoringError(f"look {name} ended as {described['status']} in {last}: {words}")
    output = msgspec.json.decode(described["output"])
    if not output["looks"]:
        return Look(run_id=output["run_id"], looked=False)
    return Look(
        run_id=output["run_id"],
        looked=True,
        passed=output["passed"],
        reason=output["reason"],
        retraining=output["retraining"],
        told=output["told"],
    )


def fetch(deployment: Deployment, run_id: str, folder: Path) -> list[Path]:
    """Copy what a look wrote into a folder; monitoring.json first.

    Raises
    ------
    MonitoringError
        If there is no such look.
    """
    client, bucket = deployment.client("s3"), deployment["ModelsBucket"]
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in FILES:
        try:
            stored = client.get_object(Bucket=bucket, Key=f"monitoring/{run_id_of(run_id)}/{name}")
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise MonitoringError(
                    f"there is no report {run_id} under s3://{bucket}/monitoring/: "
                    "the look has not ended, failed, or found no payment"
                ) from error
            raise
        paths.append(folder / name)
        paths[-1].write_bytes(stored["Body"].read())
    return paths


def _show(paths: list[Path]) -> None:
    console.print(_table(msgspec.json.decode(paths[0].read_bytes(), type=_Found).verdict))
    for path in paths:
        console.print(f"  {path}", markup=False, highlight=False)


def _table(verdict: MonitoringVerdict) -> Table:
    table = Table("", "kept", "what was found")
    for each in verdict.findings:
        kept = ("[green]yes[/green]" if each.judged else "not judged") if each.kept else "[red]no[/red]"
        table.add_row(each.subject, kept, escape(each.sentence))
    return table
