"""The local cloud's server process: the emulator with our SageMaker in it.

Started by `ops.localcloud.control`; by hand: ``python -m ops.localcloud.server --port 4566 --state DIR``.
"""

import argparse
import asyncio
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ops.localcloud.errors import LocalCloudError
from ops.localcloud.permissions import CallLog
from ops.localcloud.settings import ACCOUNT, CALLS, DEFAULT_PORT, HOST, REGION, environment

LOG_LEVEL: Final = "INFO"
# SageMaker jobs that run at once.
PARALLEL_JOBS: Final = 2


def emulator_environment(port: int, state: Path) -> dict[str, str]:
    """The emulator's settings, which it reads from its environment when imported."""
    return {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "MINISTACK_HOST": "localhost",
        "LOG_LEVEL": LOG_LEVEL,
        "STATE_DIR": str(state / "ministack"),
        # Every call is judged by the policies of its caller's role.
        "AUTH": "true",
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "S3_DATA_DIR": str(state / "s3"),
        # Services that would open ports of their own.
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        # Surplus workers of a burst go after this long; each holds a copy of its layers.
        "LAMBDA_WARM_TTL_SECONDS": "120",
    }


def job_environment(port: int, base: Mapping[str, str]) -> dict[str, str]:
    """What a SageMaker job finds in its environment: the local cloud and nothing of the operator's.

    Its credentials are those of its role, one job's own.
    """
    kept = {
        "PATH": base.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        # A job's machine is its own on AWS; here XGBoost's threads would spin while others have the processors.
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    return kept | {
        name: value
        for name, value in environment(port).items()
        if name.startswith("AWS_") and not name.startswith(("AWS_ACCESS_KEY", "AWS_SECRET"))
    }


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ops.localcloud.server", description=__doc__)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--state", type=Path, required=True, help="folder for jobs and temporary files")
    parser.add_argument("--stop-grace", type=float, default=120.0, help="seconds from SIGTERM to SIGKILL of a job")
    parser.add_argument("--images", type=Path, help="JSON file of images in the place of the project's own")
    return parser.parse_args(arguments)


def _make_sagemaker(options: argparse.Namespace, publish: Any, assume: Any) -> Any:
    """Our SageMaker; imported late because it needs botocore's models, which take a while."""
    from ops.localcloud.control import session
    from ops.localcloud.images import default_images, read_images
    from ops.localcloud.sagemaker import SageMaker
    from ops.localcloud.worker import Worker

    repository = Path(__file__).resolve().parents[2]
    images = read_images(options.images) if options.images else default_images(repository)

    def clients(credentials: Mapping[str, str]) -> Any:
        local = session(options.port, credentials=credentials)
        return local.client("s3"), local.client("logs")

    worker = Worker(
        folder=options.state / "sagemaker",
        images=images,
        environment=job_environment(options.port, os.environ),
        credentials=lambda job: assume(job.request["RoleArn"], job.name),
        clients=clients,
        kill=threading.Event(),
        clock=time.time,
        monotonic=time.monotonic,
        grace=options.stop_grace,
    )
    return SageMaker(
        worker,
        images,
        account=ACCOUNT,
        region=REGION,
        parallel=PARALLEL_JOBS,
        publish=publish,
    )


async def _serve(application: Any, port: int) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.accesslog = None
    config.loglevel = LOG_LEVEL
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await serve(application, config, shutdown_trigger=ended.wait)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until SIGTERM or SIGINT."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    options.state.mkdir(parents=True, exist_ok=True)
    temporary = options.state / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    os.environ["TMPDIR"] = str(temporary)
    os.environ.update(emulator_environment(options.port, options.state))
    # Every connection and every worker's pipes count; the usual soft limit of 1024 is soon reached.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Only now: the emulator reads its settings when it is imported.
    from ops.localcloud import seam

    try:
        seam.check()
    except LocalCloudError as error:
        print(f"ERROR: {error}", file=sys.stderr)  # noqa: T201 - the log of this process
        return 2
    sagemaker = _make_sagemaker(options, seam.publish_event, seam.assume)
    background = seam.install(sagemaker, time.monotonic, CallLog(options.state / CALLS))
    background.start()
    try:
        asyncio.run(_serve(seam.asgi_application(), options.port))
    finally:
        background.close()
        sagemaker.close()
        seam.kill_workers()
        shutil.rmtree(temporary, ignore_errors=True)
    return 0


if __name__ == "__main__":
    # Daemon threads of the emulator may still be inside a call; there is nothing left to save.
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
