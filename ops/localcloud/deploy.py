"""Bring a CDK app into the local cloud with the real ``cdk bootstrap`` and ``cdk deploy``."""

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ops.localcloud.errors import LocalCloudError
from ops.localcloud.settings import ACCOUNT, DEFAULT_PORT, REGION, environment

__all__ = ["Outputs", "bootstrap_and_deploy"]

type Outputs = dict[str, dict[str, str]]

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
# Colours and cursor movements of the CDK command line.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_QUOTED_LINES = 25
# Seconds that each of the two commands may take.
_TIMEOUT = 600.0
# Without these the CDK command line looks for newer versions and notices on the network.
_QUIET: Final[Mapping[str, str]] = {
    "CDK_DISABLE_VERSION_CHECK": "1",
    "CDK_DISABLE_CLI_TELEMETRY": "true",
    # Twelve seconds of the library's own rules, which every synthesis for AWS goes through.
    "CDK_VALIDATION": "false",
    "CI": "true",
    "FORCE_COLOR": "0",
    "NO_COLOR": "1",
    "NODE_NO_WARNINGS": "1",
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
    "PYTHONUNBUFFERED": "1",
}
_GLOBAL: Final[Sequence[str]] = ("--no-version-reporting", "--no-notices", "--ci")


def _environment(port: int, base: Mapping[str, str]) -> dict[str, str]:
    """The operator's environment without any AWS settings of its own, turned to the local cloud."""
    # Bytecode written by the first synthesis saves the next ones several seconds.
    unwanted = ("AWS_", "CDK_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in base.items() if not name.startswith(unwanted)}
    return {**kept, **environment(port), **_QUIET}


def bootstrap_and_deploy(
    port: int = DEFAULT_PORT,
    progress: Callable[[str], None] = lambda _line: None,
    *,
    app_directory: Path = _REPOSITORY,
    log: Path | None = None,
) -> Outputs:
    """Bootstrap the local account and deploy every stack of a CDK app.

    Parameters
    ----------
    port
        Port of the running local cloud.
    progress
        Called with every line the CDK command line writes.
    app_directory
        Folder of the app's cdk.json.
    log
        File that keeps all lines; ``build/local/<port>/deploy.log`` by default.

    Returns
    -------
    dict
        The CloudFormation outputs of every stack: ``{stack: {name: value}}``.

    Raises
    ------
    LocalCloudError
        A command failed; quotes its last lines and says where the log is.
    """
    folder = _REPOSITORY / "build" / "local" / str(port)
    log = log or folder / "deploy.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    outputs = log.with_name("outputs.json")
    outputs.unlink(missing_ok=True)
    # Of its own, so that a deployment does not share its lock with a synthesis into cdk.out.
    assembly = log.with_name("cdk.out")
    run = functools.partial(_cdk, port=port, directory=app_directory, log=log)
    # An explicit environment needs no synthesis: --app would only cost the time to run it.
    bootstrap = ["bootstrap", f"aws://{ACCOUNT}/{REGION}", "--app", "", *_GLOBAL]
    run(bootstrap, progress)
    deploy = ["deploy", "--all", "-c", "env=local", "--require-approval", "never", "--method", "direct"]
    deploy += ["--concurrency", "2", "--asset-parallelism", "--output", str(assembly)]
    deploy += ["--progress", "events", "--outputs-file", str(outputs), *_GLOBAL]
    run(deploy, progress)
    found: Outputs = json.loads(outputs.read_text()) if outputs.exists() else {}
    return found


def _cdk(
    arguments: Sequence[str],
    progress: Callable[[str], None],
    *,
    port: int,
    directory: Path,
    log: Path,
) -> None:
    program = _REPOSITORY / "node_modules" / ".bin" / "cdk"
    if not program.exists():
        raise LocalCloudError(f"the CDK command line is not installed ({program}): run `make setup`")
    last: deque[str] = deque(maxlen=_QUOTED_LINES)
    process = subprocess.Popen(  # noqa: S603 - a list, no shell; the CDK command line of this folder
        [str(program), *arguments],
        cwd=directory,
        env=_environment(port, os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    expired = threading.Event()
    timer = threading.Timer(_TIMEOUT, _expire, (process, expired))
    timer.start()
    try:
        with log.open("a") as keep:
            for raw in process.stdout or ():
                line = _ESCAPES.sub("", raw).rstrip()
                keep.write(line + "\n")
                if line:
                    last.append(line)
                    progress(line)
        code = process.wait()
    finally:
        timer.cancel()
        _end(process)
    if code != 0:
        what = f"took longer than {_TIMEOUT:.0f} s" if expired.is_set() else f"ended with exit code {code}"
        raise LocalCloudError(
            f"`cdk {arguments[0]}` {what}. Its last lines:\n"
            + "\n".join(f"  {line}" for line in last)
            + f"\nEverything it said is in {log}; the local cloud's own words are in "
            f"{log.with_name('server.log')}. "
            "Correct the cause and run it again; `make down` first gives an empty local cloud."
        )


def _expire(process: "subprocess.Popen[str]", expired: threading.Event) -> None:
    expired.set()
    _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
