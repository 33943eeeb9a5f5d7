"""A deployment to break things in: its functions behind the proxy, what is sent to it, and what it counted."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import psutil
import urllib3

from fraud.events import Event
from infra.alarms import name_of
from ops import merchants
from ops.deployment import Deployment
from ops.functions import configurations, log_groups
from ops.localcloud import control
from tests.drills import counting, messages
from tests.drills.drill import Drill, Sign
from tests.drills.judging import Balance
from tests.drills.messages import now
from tests.drills.proxy import Faults, proxied, rule
from tests.drills.watched import Watched, prefix_of
from tests.load import rollout
from tests.load.checks import Ledger
from tests.load.generator import Exchange, Sender, read_log
from tests.load.plan import Phase, Planner
from tests.load.told import Digest, sealing

__all__ = ["KNOWN", "LATE", "SHOPS", "Stage", "staged"]

SHOPS = ("drill-east", "drill-west")
LATE, KNOWN = "drill-late", "drill-known"
"""Merchants that send nothing, so that API Gateway remembers nothing of their keys but what a drill lets it."""
BEHIND = (
    *("score_transaction", "relay_decisions", "update_features"),
    *("record_label", "record_outcome", "authorize_merchant"),
)
"""The functions that reach AWS through the proxy."""
RATE, THREADS = 8.0, 8
"""Calls a second, and calls under way at once."""
PATIENCE = 1.5
"""Seconds that scoring waits for a read: the emulator on two busy cores is slower than DynamoDB."""
START_PATIENCE = 90.0
"""Seconds that an answer is waited for: processes may have to start first, eight at once."""
SOON, BRIEFLY = 5, 4
"""Seconds until a message comes again whose batch failed, and where one has to fail five times; on AWS 180."""


@dataclass
class Stage:
    """A deployment that drills are carried out in, one after the other.

    Attributes
    ----------
    short : bool
        Whether drills are to be short.
    backlog : int
        How many messages the drill of that name queues.
    extra : dict of str to Event
        Events that were folded and are not in the ledger, by id.
    folded : set of str
        Events that are known to be folded.
    ledger : mapping of (event id, kind) to Line
        As it was last read.
    champion : str
        The model that serves.
    """

    deployment: Deployment
    faults: Faults
    folder: Path
    short: bool
    backlog: int
    keys: Mapping[str, str] = field(default_factory=dict)
    extra: dict[str, Event] = field(default_factory=dict)
    folded: set[str] = field(default_factory=set)
    ledger: Ledger = field(default_factory=dict)
    champion: str = ""
    balance: Balance = field(default_factory=Balance)
    _watched: dict[Sign, Watched] = field(default_factory=dict)
    planner: Planner = field(default_factory=lambda: Planner(SHOPS, seed=1, rate=RATE))

    @cached_property
    def digest(self) -> Digest:
        """What the ledger keeps of a body."""
        return sealing(self.deployment.tokeniser())

    @cached_property
    def _functions(self) -> Mapping[str, Any]:
        return configurations(self.deployment)

    @cached_property
    def _log_groups(self) -> Mapping[str, str]:
        return log_groups(self.deployment)

    def put_behind(self, verb_noun: str) -> None:
        """Let a function reach AWS through the proxy only, with the settings of production where they matter."""
        client, found = self.deployment.client("lambda"), self._functions[verb_noun]
        name, variables = found["FunctionName"], dict(found["Environment"]["Variables"])
        ours = {"STORE_PATIENCE_MS": str(round(PATIENCE * 1_000)), "CONFIG_REFRESH_SECONDS": "1"}
        ours["REPLAY_TIME"] = "false"
        variables |= {key: value for key, value in ours.items() if key in variables}
        variables["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{self.faults.port}"
        client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
        aliases = client.list_aliases(FunctionName=name)["Aliases"]
        if any(each["Name"] == "live" for each in aliases):
            version = client.publish_version(FunctionName=name)["Version"]
            client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)

    @contextmanager
    def sending(self, name: str) -> Iterator[Sender]:
        """Sends calls; what they were answered with is in `exchanges` afterwards."""
        sender = Sender(self.deployment.api_url, self.keys, THREADS, self.folder / f"{name}.jsonl")
        try:
            yield sender
        finally:
            sender.close()

    def exchanges(self, name: str) -> list[Exchange]:
        return read_log(self.folder / f"{name}.jsonl")

    def send(self, sender: Sender, name: str, seconds: float) -> None:
        """Send payments at a steady rate, and all that belongs to them."""
        sender.run(self.planner.calls(Phase(name, seconds, 1)))

    def lasting(self, drill: Drill) -> float:
        """How many seconds payments are sent while something is broken."""
        return drill.seconds / 3 if self.short else drill.seconds

    def post(
        self, shop: str, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """One call of a merchant; status and answer."""
        answer = urllib3.request(
            "POST",
            f"{self.deployment.api_url}{path}",
            body=msgspec.json.encode(body),
            headers={
                "Authorization": f"Bearer {self.keys[shop]}",
                "Content-Type": "application/json",
                **(headers or {}),
            },
            timeout=START_PATIENCE,
            retries=False,
        )
        return answer.status, msgspec.json.decode(answer.data)

    def health(self) -> Any:
        """What a process that decides says of itself."""
        answer = urllib3.request(
            "GET",
            f"{self.deployment.api_url}/v1/health",
            headers={"Authorization": f"Bearer {self.keys[SHOPS[0]]}"},
            timeout=START_PATIENCE,
            retries=False,
        )
        return msgspec.json.decode(answer.data)

    def knock(self, shop: str) -> int:
        """Read a payment that does not exist, as a merchant; the status."""
        answer = urllib3.request(
            "GET",
            f"{self.deployment.api_url}/v1/decisions/none",
            headers={"Authorization": f"Bearer {self.keys[shop]}"},
            timeout=START_PATIENCE,
            retries=False,
        )
        return answer.status

    def champions(self) -> set[str]:
        """What each process that decides says that it serves; an idle one learns of a change by being asked."""
        # Calls that all wait for the store for a while are under way at once, each in a process of its own.
        with (
            self.faults.injected(rule("dynamodb", "BatchGetItem", latency=0.5)),
            ThreadPoolExecutor(THREADS) as pool,
        ):
            answers = [pool.submit(self.health) for _ in range(THREADS)]
        return {answer.result().get("champion", "") for answer in answers}

    def promote(self, version: str) -> None:
        """Make a registered model the champion."""
        rollout.promote(self.deployment, version)
        self.champion = version

    def next(self) -> str:
        """A model that does not serve, and did not before the one that does."""
        versions = list(rollout.VERSIONS)
        return versions[(versions.index(self.champion) + 1) % len(versions)]

    def kill(self, verb_noun: str) -> int:
        """Kill the processes of a function, whatever they do just now; how many there were.

        They are children of the local cloud that this stage is in, and are known by the name in their environment.
        """
        name, port = self._functions[verb_noun]["FunctionName"], self.deployment.port
        number = control.status(port).pid if port else None
        killed = 0
        for child in psutil.Process(number).children(recursive=True) if number else ():
            try:
                if child.environ().get("AWS_LAMBDA_FUNCTION_NAME") == name:
                    child.kill()
                    killed += 1
            except psutil.Error:
                continue  # it ended by itself meanwhile
        return killed

    @contextmanager
    def held_back(self, verb_noun: str = "update_features") -> Iterator[None]:
        """Let nothing come to a function from its queue or stream until the block ends."""
        self._change_mapping(verb_noun, Enabled=False)
        try:
            yield
        finally:
            self._change_mapping(verb_noun, Enabled=True)

    @contextmanager
    def giving_up(self, verb_noun: str) -> Iterator[None]:
        """Let a function have each record of its stream once, until the block ends."""
        kept = self._change_mapping(verb_noun, MaximumRetryAttempts=0)["MaximumRetryAttempts"]
        try:
            yield
        finally:
            self._change_mapping(verb_noun, MaximumRetryAttempts=kept)

    def limit_updates(self) -> None:
        """Run no more copies of update_features at once than two cores have work for."""
        self._change_mapping("update_features", ScalingConfig={"MaximumConcurrency": 3})

    def _change_mapping(self, verb_noun: str, **settings: Any) -> Any:
        """The mapping as it was."""
        client, name = self.deployment.client("lambda"), self._functions[verb_noun]["FunctionName"]
        [mapping] = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        client.update_event_source_mapping(UUID=mapping["UUID"], **settings)
        return mapping

    def queue(self, rows: Sequence[Any], *, progress: bool = False) -> None:
        """Put events of the bus into the queue of the features, or whatever else is given as text."""
        messages.send(self.deployment.client("sqs"), self.deployment["UpdateQueueUrl"], rows, progress=progress)

    def depth(self, output: str) -> int:
        """How many messages a queue holds, with those that are out."""
        return messages.depth(self.deployment.client("sqs"), self.deployment[output])

    def visible_after(self, seconds: int) -> None:
        """After how many seconds a message comes again whose batch failed."""
        self.deployment.client("sqs").set_queue_attributes(
            QueueUrl=self.deployment["UpdateQueueUrl"], Attributes={"VisibilityTimeout": str(seconds)}
        )

    def dead_letters(self) -> list[str]:
        """Take all messages out of the queue of dead letters."""
        return messages.drain(self.deployment.client("sqs"), self.deployment["UpdateDeadLetterQueueUrl"])

    def reading(self, sign: Sign, since: int) -> float:
        """What an alarm compares with its threshold, since a moment (ms), see `Watched.reading`."""
        return self.watched(sign).reading(since)

    def watched(self, sign: Sign) -> Watched:
        """An alarm as it is deployed."""
        if sign not in self._watched:
            self._watched[sign] = Watched(self._cloudwatch, name_of(sign.alarm, prefix=self._prefix, of=sign.of))
        return self._watched[sign]

    @cached_property
    def _cloudwatch(self) -> Any:
        return self.deployment.client("cloudwatch")

    @cached_property
    def _prefix(self) -> str:
        return prefix_of(self._cloudwatch)

    def counted(self, verb_noun: str, metric: str, since: int) -> float:
        """The sum of a metric that a function counted since a moment (ms), out of what it logged."""
        return counting.counted(self.deployment.client("logs"), self._log_groups[verb_noun], metric, since)


@contextmanager
def staged(deployment: Deployment, folder: Path, *, short: bool, backlog: int) -> Iterator[Stage]:
    """Make a deployment ready to be broken: models, merchants, functions behind the proxy and warm."""
    if deployment.port is None:
        raise ValueError("drills break things: they are for a local cloud only")
    folder.mkdir(parents=True, exist_ok=True)
    with proxied(deployment.port) as faults:
        stage = Stage(deployment, faults, folder, short, backlog)
        for version in rollout.VERSIONS:
            rollout.register(deployment, version)
        stage.promote("run-1")
        for verb_noun in BEHIND:
            stage.put_behind(verb_noun)
        stage.visible_after(SOON)
        stage.limit_updates()
        stage.keys = {shop: merchants.add(deployment, shop, at=now()).secret for shop in (*SHOPS, LATE, KNOWN)}
        yield stage
