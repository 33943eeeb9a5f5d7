"""What serves cannot be read: AppConfig and S3 do not answer, or a model is damaged."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from ops.functions import FunctionError
from ops.localcloud.settings import OUTAGE_TAG
from runtime.stores.decisions import DECISION
from tests.drills.drill import Drill, Sign
from tests.drills.judging import Seen, in_lake
from tests.drills.messages import now
from tests.drills.proxy import rule
from tests.drills.stage import Stage
from tests.load import rollout
from tests.load.report import Finding

__all__ = ["CorruptModel", "StaleConfiguration", "StorageDown"]

UNREACHABLE = rule("appconfig", code="InternalServerException", status=500)
"""AppConfig; its data is asked for under the same name."""
BUFFERED = 6.0
"""Seconds, more than Firehose keeps rows for when it can deliver them."""
_STALE = Sign("stale-serving")


class Swap(Drill):
    """A drill during which another model is promoted, which cannot be taken over meanwhile."""

    signs: ClassVar[Sequence[Sign]] = (_STALE,)

    def __init__(self) -> None:
        self._before = ""
        self._after = ""
        self._come = 0

    def well(self, stage: Stage) -> bool:
        return stage.champions() == {self._after}

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        del stage
        versions = {row["model_version"] for row in seen.decided(until=seen.until)}
        held = self._before in versions and self._after not in versions
        told = ", ".join(sorted(each or "none" for each in versions))
        yield Finding("the new model decides nothing meanwhile", held, f"decided by {told}")


class StaleConfiguration(Swap):
    name = "stale-configuration"
    fault = "AppConfig does not answer, while another model is promoted"
    holds = "the document before goes on; the new one is taken over as soon as it can be read"

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        self._before, self._after = stage.champion, stage.next()
        since = now()
        before = stage.reading(_STALE, since)
        with stage.faults.injected(UNREACHABLE):
            stage.promote(self._after)
            yield
            # Its client asks four times before a process gives up, which may take longer than payments are sent.
            deadline = time.monotonic() + 20
            while stage.reading(_STALE, since) <= before and time.monotonic() < deadline:
                stage.health()
                time.sleep(0.5)


class CorruptModel(Swap):
    name = "corrupt-model"
    fault = "one bit of a model is flipped in S3, before it is promoted and between that and its use"
    holds = "it is not promoted; once it was, the model before goes on, and the damaged one decides nothing"

    def __init__(self) -> None:
        super().__init__()
        self._refusal = ""

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        self._before, self._after = stage.champion, stage.next()
        rollout.corrupt(stage.deployment, self._after)
        try:
            stage.promote(self._after)
        except FunctionError as error:
            self._refusal = str(error)
        rollout.corrupt(stage.deployment, self._after)  # the same bit again: the model is whole
        with stage.faults.injected(UNREACHABLE):
            stage.promote(self._after)
            rollout.corrupt(stage.deployment, self._after)
        yield
        rollout.corrupt(stage.deployment, self._after)

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        yield from super().check(stage, seen)
        yield Finding("a damaged model is not promoted", "digest" in self._refusal, self._refusal)


class StorageDown(Swap):
    name = "storage-down"
    fault = "S3 refuses everything: models cannot be loaded, and Firehose cannot deliver"
    holds = "the model before goes on; rows wait and come to the lake, every one"

    @contextmanager
    def broken(self, stage: Stage) -> Iterator[None]:
        self._before, self._after = stage.champion, stage.next()
        firehose = stage.deployment.client("firehose")
        streams = firehose.list_delivery_streams()["DeliveryStreamNames"]
        before = in_lake(stage.deployment)
        for name in streams:
            firehose.tag_delivery_stream(DeliveryStreamName=name, Tags=[{"Key": OUTAGE_TAG, "Value": "drill"}])
        try:
            with stage.faults.injected(rule("s3", code="SlowDown", status=503)):
                stage.promote(self._after)
                yield
                # What was on its way when it began may have come; then nothing does.
                time.sleep(BUFFERED)
                self._come = in_lake(stage.deployment) - before
        finally:
            for name in streams:
                firehose.untag_delivery_stream(DeliveryStreamName=name, TagKeys=[OUTAGE_TAG])

    def well(self, stage: Stage) -> bool:
        return super().well(stage) and in_lake(stage.deployment) >= self._wanted(stage)

    def _wanted(self, stage: Stage) -> int:
        return len({name for name, kind in stage.ledger if kind == DECISION})

    def check(self, stage: Stage, seen: Seen) -> Iterator[Finding]:
        yield from super().check(stage, seen)
        yield Finding("nothing came to the lake meanwhile", not self._come, f"{self._come} rows")
        found, wanted = in_lake(stage.deployment), self._wanted(stage)
        yield Finding("the lake has them all", found == wanted, f"{found} of {wanted} decisions")
