"""`paywarden train`: starts a run or goes on with one, tells each phase, and says what came of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from fraud.run_policy import PolicyError, policy_of
from infra.environment import Environment
from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.terminal import Env, Port, console, ms, progress_bars

__all__ = ["options_of", "train"]

FOLDER: Final = Path("build/runs")


def train(
    as_of: Annotated[
        datetime | None, typer.Option(help="The moment that the run knows of; now by default.")
    ] = None,
    policy_file: Annotated[
        Path | None, typer.Option("--policy-file", help="JSON: what is different from the deployment's policy.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="One field of the policy, such as release.approval=person; may be repeated."),
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--parameter", help="A hyperparameter, such as max_depth=4; may be repeated."),
    ] = None,
    instances: Annotated[int, typer.Option(min=1, max=16, help="Machines of the training job.")] = 1,
    spot: Annotated[bool, typer.Option("--spot", help="Train on spot machines.")] = False,
    resume: Annotated[
        str | None, typer.Option("--resume", help="Go on with this run from the step that failed.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for people and traffic too, or leave the run to itself.")
    ] = True,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Train a model, and follow it until it serves, or until it is said why it does not.

    Stopping this command does not stop the run. Its reports are copied to build/runs/RUN.
    """
    from ops.retraining import fetch_reports, follow, start
    from ops.retraining import resume as go_on

    deployment = connect(env, port=port)
    since = None
    if resume is not None:
        arn, since = go_on(deployment, resume)
    else:
        options = options_of(
            deployment.environment,
            policy_file=policy_file,
            changes=changes or [],
            parameters=parameters or [],
            further={"as_of": ms(as_of), "instances": instances, "spot": spot},
        )
        arn = start(deployment, f"manual-{datetime.now(UTC):%Y%m%d-%H%M%S}", options=options)
    name = arn.rpartition(":")[2]
    console.print(f"run {name}", highlight=False)

    with progress_bars() as progress:
        task = progress.add_task(name, total=None)

        def entered(state: str) -> None:
            progress.update(task, description=state)
            if not state.startswith(("Wait", "Judge")):
                console.print(f"  {state}", highlight=False)
            if state == "AskApproval":
                console.print(
                    f"  if a person has to approve: paywarden models approve {name} --reason '...' --env {env}",
                    markup=False,
                    highlight=False,
                )

        run = follow(deployment, arn, timeout=float("inf"), entered=entered, leave=not wait, since=since)
    reports = fetch_reports(deployment, run.version, FOLDER / run.version)
    console.print(f"{run.version} {_OUTCOMES[run.outcome]}: {run.reason}", markup=False)
    for path in reports:
        console.print(f"  {path}", markup=False, highlight=False)


_OUTCOMES: Final = {
    "serves": "serves",
    "stopped": "was stopped",
    "rejected": "was rejected",
    "rolled_back": "was rolled back",
    "waits": "waits",
}


def options_of(
    environment: Environment,
    *,
    policy_file: Path | None,
    changes: list[str],
    parameters: list[str],
    further: dict[str, Any],
) -> dict[str, Any]:
    """The execution's input; what the defaults would be is left out.

    Raises
    ------
    typer.BadParameter
        If the policy's file cannot be read, or a run could not hold to the policy.
    """
    policy: dict[str, Any] = {}
    if policy_file is not None:
        try:
            policy = msgspec.json.decode(policy_file.read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.MsgspecError) as error:
            raise typer.BadParameter(f"{policy_file}: {error}", param_hint="--policy-file") from error
    for change in changes:
        path, value = _pair(change, "--set")
        inner = policy
        *parents, field = path.split(".")
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[field] = value
    try:
        policy_of(environment.run_policy, policy, loose=environment.loose_runs)
    except PolicyError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from error
    options = {
        "reason": "started by `paywarden train`",
        "policy": policy,
        "parameters": dict(_pair(each, "--parameter") for each in parameters),
        **further,
    }
    return {name: value for name, value in options.items() if value not in (None, {}, False)}


def _pair(text: str, option: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise typer.BadParameter(f"{text!r}: write NAME=VALUE", param_hint=option)
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value
