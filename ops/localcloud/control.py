"""Start the local cloud, look at it, and end it; safe to call again in any state."""

import contextlib
import json
import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import msgspec
import psutil

from ops.localcloud.errors import LocalCloudError
from ops.localcloud.settings import DEFAULT_PORT, HOST, INTERRUPT_TAG, REGION, environment

__all__ = ["Status", "down", "environment", "interrupt", "session", "state_directory", "status", "up"]

_REPOSITORY = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0
# The server kills its jobs and workers within this; what is left then is killed from outside.
_STOP_SECONDS = 15.0


class _Record(msgspec.Struct, frozen=True):
    """What `up` writes down: enough to know the process again without trusting its number."""

    pid: int
    created: float


class Status(msgspec.Struct, frozen=True):
    """Whether a local cloud runs on a port."""

    running: bool
    healthy: bool
    pid: int | None


def state_directory(port: int) -> Path:
    """Default folder of the local cloud on `port`."""
    return _REPOSITORY / "build" / "local" / str(port)


def _record_path(port: int) -> Path:
    # Always in the default place, so that `down` finds it whatever state folder was chosen.
    return state_directory(port) / "server.json"


def _log_path(port: int) -> Path:
    return state_directory(port) / "server.log"


def _read_record(port: int) -> _Record | None:
    try:
        return msgspec.json.decode(_record_path(port).read_bytes(), type=_Record)
    except (OSError, msgspec.DecodeError):
        return None


def _process(port: int) -> psutil.Process | None:
    """The server we started on `port`, if it still runs; never a stranger that got its number."""
    record = _read_record(port)
    if record is None:
        return None
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.created) < 1 and "ops.localcloud.server" in process.cmdline()
    except psutil.Error:
        return None
    return process if same and process.status() != psutil.STATUS_ZOMBIE else None


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/_ministack/health", timeout=2) as answer:
            services = json.load(answer).get("services", {})
    except (OSError, ValueError, urllib.error.URLError):
        return False
    return "sagemaker" in services


def _occupied(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex((HOST, port)) == 0


def _occupant(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            address = tuple(connection.laddr)
            listening = connection.status == psutil.CONN_LISTEN and address[1:] == (port,)
            if listening and connection.pid:
                process = psutil.Process(connection.pid)
                return f"process {process.pid} ({process.name()})"
    return "another process"


def status(port: int = DEFAULT_PORT) -> Status:
    """State of the local cloud on `port`."""
    process = _process(port)
    return Status(
        running=process is not None,
        healthy=process is not None and _healthy(port),
        pid=process.pid if process else None,
    )


def _server_environment(base: Mapping[str, str]) -> dict[str, str]:
    """The server passes its environment on to the functions it runs, so it gets next to none."""
    kept = {name: base[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in base}
    return kept | {
        "PYTHONPATH": "",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def up(
    port: int = DEFAULT_PORT,
    *,
    state_dir: Path | None = None,
    images: Path | None = None,
    stop_grace: float = 10.0,
) -> Status:
    """Start the local cloud on `port` of 127.0.0.1, empty, and wait until it answers.

    A local cloud already running there is left alone.

    Parameters
    ----------
    state_dir
        Folder for jobs and temporary files; ``build/local/<port>`` by default.
    images
        JSON file of container images in the place of the project's own (see `ops.localcloud.images`).
    stop_grace
        Seconds a stopped job has to end by itself.

    Raises
    ------
    LocalCloudError
        The port is taken by something else, or the server did not come up; says what to do.
    """
    found = status(port)
    if found.healthy:
        return found
    if found.running:
        down(port)
    if _occupied(port):
        raise LocalCloudError(
            f"port {port} of {HOST} is taken by {_occupant(port)}: end that process, or choose another port"
        )
    state = state_dir or state_directory(port)
    for name in ("ministack", "s3", "sagemaker"):
        shutil.rmtree(state / name, ignore_errors=True)
    state.mkdir(parents=True, exist_ok=True)
    _log_path(port).parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "ops.localcloud.server"]
    command += ["--port", str(port), "--state", str(state.resolve()), "--stop-grace", str(stop_grace)]
    command += ["--images", str(images.resolve())] if images else []
    _start(command, port)
    return status(port)


def _start(command: Sequence[str], port: int) -> None:
    number = _spawn(command, _server_environment(os.environ), _log_path(port))
    child = psutil.Process(number)
    _record_path(port).write_bytes(msgspec.json.encode(_Record(number, child.create_time())))
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if not child.is_running() or child.status() == psutil.STATUS_ZOMBIE:
            code = child.wait(timeout=1)
            raise LocalCloudError(f"the local cloud ended with exit code {code} while starting: {_tail(port)}")
        if _healthy(port):
            return
        time.sleep(0.1)
    down(port)
    raise LocalCloudError(f"the local cloud did not answer within {_START_SECONDS:.0f} s: {_tail(port)}")


def _spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """Start a process of a session of its own that outlives this one; its number."""
    create = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return os.posix_spawn(
        command[0],
        list(command),
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), create, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _tail(port: int, lines: int = 15) -> str:
    path = _log_path(port)
    last = path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []
    return "\n".join([f"see {path}; its last lines:", *last])


def down(port: int = DEFAULT_PORT) -> bool:
    """End the local cloud on `port` and everything it started; False if none ran.

    Only the process that `up` started is touched, known by its number, start time and command line.
    """
    process = _process(port)
    if process is None:
        _record_path(port).unlink(missing_ok=True)
        return False
    # The tree as it is before the end: children of a dead parent could not be found any more.
    family = _family(process)
    with contextlib.suppress(psutil.Error):
        process.terminate()
    psutil.wait_procs([process], timeout=_STOP_SECONDS)
    _, alive = psutil.wait_procs(family, timeout=1)
    for member in alive:
        with contextlib.suppress(psutil.Error):
            member.kill()
    _, immortal = psutil.wait_procs(alive, timeout=5)
    if immortal:
        numbers = ", ".join(str(member.pid) for member in immortal)
        raise LocalCloudError(f"the processes {numbers} of the local cloud could not be ended: end them by hand")
    _record_path(port).unlink(missing_ok=True)
    return True


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return [process]


class _LocalCore(botocore.session.Session):
    """A botocore session that knows no endpoint but one.

    boto3 takes endpoints from the environment or a configuration file only, and without one it would turn
    to AWS itself; here no client can.
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self._endpoint = endpoint

    def create_client(self, *arguments: Any, **settings: Any) -> Any:
        """Make a client of the local cloud."""
        settings["endpoint_url"] = settings.get("endpoint_url") or self._endpoint
        return super().create_client(*arguments, **settings)


def session(
    port: int = DEFAULT_PORT, *, region: str = REGION, credentials: Mapping[str, str] | None = None
) -> boto3.Session:
    """A boto3 session whose clients speak to the local cloud on `port`, whatever the environment says.

    Parameters
    ----------
    credentials
        Environment variables of a role's session, to act in that role; by default the operator's, who may do all.
    """
    found = environment(port, region=region) | dict(credentials or {})
    return boto3.Session(
        aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=found.get("AWS_SESSION_TOKEN"),
        region_name=region,
        botocore_session=_LocalCore(found["AWS_ENDPOINT_URL"]),
    )


def interrupt(port: int, training_job: str) -> None:
    """Take the spot instances of a running training job away; it goes on from its checkpoint.

    Raises
    ------
    botocore.exceptions.ClientError
        The job is unknown, does not run on spot instances, or is not training just now.
    """
    sagemaker = session(port).client("sagemaker")
    arn = sagemaker.describe_training_job(TrainingJobName=training_job)["TrainingJobArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": INTERRUPT_TAG, "Value": "now"}])
