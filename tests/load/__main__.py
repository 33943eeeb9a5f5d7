"""Deploy the platform to a local cloud of its own and put it under load while all kinds of things happen to it.

Then tell from outside whether any decision was lost, doubled, or not what it has to be.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec

from ops import merchants
from ops.deployment import Deployment
from ops.functions import configurations
from tests.cloud import deployed
from tests.load import rollout
from tests.load.brownout import Brownout, Mode, proxied
from tests.load.checks import Happened, judged
from tests.load.day import planned, played
from tests.load.day_report import told_day
from tests.load.generator import AGAIN, Orders, read_log
from tests.load.plan import PHASES
from tests.load.report import show, write

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "load"
SHOPS = ("load-east", "load-north", "load-south", "load-west")
PATIENCE, DELAY = 1.5, 1.75
"""Seconds: what scoring waits for a read, and how long the slow store takes. A write may take two."""
MODES: dict[str, Mode] = {
    "slow store": "slow",
    "deaf store": "deaf",
    "store refuses": "refused",
    "silent store": "silent",
}
# A breaker that opened lets one call through after two seconds.
REST = 4.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--rate", type=float, default=8.0, help="calls a second when all is steady (%(default)s)")
    parser.add_argument("--threads", type=int, default=12, help="calls under way at once, at most (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--port", type=int, help="of a local cloud that is deployed to and unused, and is left running"
    )
    parser.add_argument("--day", action="store_true", help="play a day's curve instead, with nothing broken")
    parser.add_argument("--payments", type=int, default=1_500, help="of the day (%(default)s)")
    parser.add_argument(
        "--hour",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="how long an hour of the day takes (%(default)s)",
    )
    parser.add_argument("--picture", type=Path, default=FOLDER / "day.png", help="of the day (%(default)s)")
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    day = planned(given.payments, given.hour, seed=given.seed) if given.day else None
    with deployed(given.port, _say) as deployment:
        port = deployment.port
        assert port is not None
        if day is not None:
            _say(f"a day of {len(day.calls):,} calls in {24 * given.hour / 60:.0f} minutes")
            hours = played(deployment, day, given.hour, threads=given.threads, log=FOLDER / "day.jsonl")
            return told_day(hours, day, given.hour, picture=given.picture, path=ROOT / "build" / "load-day.json")
        store, config = Brownout(delay=DELAY), Brownout()
        with (
            proxied(port, store, Random(given.seed)) as store_port,
            proxied(port, config, Random(given.seed)) as config_port,
        ):
            _put_behind(deployment, DYNAMODB=store_port, APPCONFIGDATA=config_port)
            happened = _under_load(deployment, store, config, given)
        _say("looking at what is left in the ledger, the feature store and the lake")
        findings, rows = judged(deployment, read_log(FOLDER / "exchanges.jsonl"), happened)
    show(findings, rows)
    write(findings, rows, ROOT / "build" / "load.json")
    return int(not all(finding.held for finding in findings))


def _under_load(deployment: Deployment, store: Brownout, config: Brownout, given: argparse.Namespace) -> Happened:
    """Send everything; when what was done to the platform."""
    for version in rollout.VERSIONS:
        rollout.register(deployment, version)
    rollout.promote(deployment, "run-1")
    # What loses its races for a state six times comes again after this long, instead of minutes.
    queue, soon = deployment["UpdateQueueUrl"], {"VisibilityTimeout": "10"}
    deployment.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes=soon)
    keys = {shop: merchants.add(deployment, shop, at=_now()).secret for shop in SHOPS}
    orders = Orders(
        deployment.api_url, keys, given.seed, given.rate, given.threads, str(FOLDER / "exchanges.jsonl")
    )
    happened = Happened(processes=given.threads)

    def swap() -> None:
        time.sleep(8)
        happened.promoted = _now()
        rollout.promote(deployment, "run-2")
        time.sleep(12)
        # What is damaged is not promoted: this one is, between that and its use. Nobody learns of it meanwhile.
        config.mode = "refused"
        rollout.promote(deployment, "run-3")
        rollout.corrupt(deployment, "run-3")
        config.mode = "clear"
        happened.corrupted = _now()
        time.sleep(10)
        rollout.promote(deployment, "run-2")
        happened.rolled_back = _now()

    with _generator(orders) as run:
        for phase in PHASES:
            _say(phase.name)
            store.mode = MODES.get(phase.name, "clear")
            beside = threading.Thread(target=swap) if phase.name == "hot swap" else None
            if beside:
                beside.start()
            run(phase.name)
            if beside:
                beside.join()
            if store.mode != "clear":
                store.mode = "clear"
                time.sleep(REST)
        _say(AGAIN)
        run(AGAIN)
    return happened


def _put_behind(deployment: Deployment, **ports: int) -> None:
    """Let scoring, and nothing else, reach services through proxies; on AWS these would be their endpoints too."""
    client = deployment.client("lambda")
    found = configurations(deployment)["score_transaction"]
    variables = found["Environment"]["Variables"] | {"STORE_PATIENCE_MS": str(round(PATIENCE * 1_000))}
    variables |= {f"AWS_ENDPOINT_URL_{name}": f"http://127.0.0.1:{port}" for name, port in ports.items()}
    name = found["FunctionName"]
    client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    version = client.publish_version(FunctionName=name)["Version"]
    client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)


@contextmanager
def _generator(orders: Orders) -> Iterator[Callable[[str], None]]:
    """The process that sends; what is given runs a phase of it and returns when all was answered."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.load.generator"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    sending, told = process.stdin, process.stdout

    def run(name: str) -> None:
        sending.write(f"{name}\n")
        sending.flush()
        if told.readline().strip() != name:
            raise RuntimeError(f"the generator ended in the phase {name!r}")

    try:
        sending.write(msgspec.json.encode(orders).decode() + "\n")
        yield run
        sending.close()
        process.wait(30)
    finally:
        process.kill()
        process.wait()


def _say(text: str) -> None:
    sys.stderr.write(f"load: {text}\n")


def _now() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    sys.exit(main())
