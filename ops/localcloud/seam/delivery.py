"""Firehose: a target of rules, and buffers that are delivered as one object."""

import base64
import contextvars
from collections.abc import Callable, Sequence
from typing import Any, Final

from ops.localcloud.delivery import Buffers, UnreachableError
from ops.localcloud.seam.emulator import Function, eventbridge, firehose
from ops.localcloud.settings import OUTAGE_TAG

__all__ = ["FUNCTIONS", "install_delivery"]

FUNCTIONS: Final[tuple[Function, ...]] = (
    (eventbridge, "_invoke_target", ("target", "event", "rule", "view")),
    (eventbridge, "_dispatch_to_lambda", ("arn", "payload")),
    (firehose, "_put_record", ("data",)),
    (firehose, "_deliver_records_to_s3", ("stream", "dest", "records")),
    (firehose, "_deliver_to_s3", ("stream", "dest", "record_data", "lambda_keys")),
    (firehose, "_convert_to_parquet", ("conversion", "data")),
)


def install_delivery(clock: Callable[[], float]) -> Buffers:
    """Let rules target Firehose, and let Firehose buffer by its hints."""
    put_alone = firehose._deliver_records_to_s3
    buffers = Buffers(_deliver_joined(put_alone), clock)

    def deliver_later(stream: Any, dest: Any, records: Sequence[tuple[str, bytes]]) -> None:
        # The emulator keeps every record it ever took; nothing reads them.
        dest["records"].clear()
        buffers.add(stream, dest, records, contextvars.copy_context().run)

    invoke_target = eventbridge._invoke_target
    to_lambda = eventbridge._dispatch_to_lambda

    def invoke_target_or_firehose(target: Any, event: Any, rule: Any, view: Any = None) -> None:
        arn = target.get("Arn", "")
        if not arn.startswith("arn:aws:firehose:"):
            invoke_target(target, event, rule, view)
            return
        # The payload (InputPath, Input, InputTransformer) is worked out by the emulator, as for a function.
        invoke_target(target | {"Arn": arn.replace(":firehose:", ":lambda:", 1)}, event, rule, view)

    def to_lambda_or_firehose(arn: str, payload: str) -> None:
        name = arn.rpartition(":deliverystream/")[2]
        if name == arn:
            to_lambda(arn, payload)
            return
        data = base64.b64encode(payload.encode()).decode()
        status, _, body = firehose._put_record({"DeliveryStreamName": name, "Record": {"Data": data}})
        if status != 200:
            raise RuntimeError(f"Firehose {name} refused an event: {body!r}")

    firehose._deliver_records_to_s3 = deliver_later
    eventbridge._invoke_target = invoke_target_or_firehose
    eventbridge._dispatch_to_lambda = to_lambda_or_firehose
    return buffers


def _deliver_joined(put_alone: Callable[[Any, Any, Any], None]) -> Callable[[Any, Any, Any], None]:
    """Deliver a buffer as one object, or record by record where AWS would not join them either."""

    def deliver(stream: Any, dest: Any, records: Sequence[tuple[str, bytes]]) -> None:
        if OUTAGE_TAG in stream["tags"]:
            raise UnreachableError(f"{stream['name']}: its bucket cannot be reached")
        config = dest["config"]
        apart = ("ProcessingConfiguration", "DynamicPartitioningConfiguration")
        if any((config.get(name) or {}).get("Enabled") for name in apart):
            put_alone(stream, dest, list(records))
            return
        conversion = config.get("DataFormatConversionConfiguration") or {}
        if not conversion.get("Enabled", bool(conversion)):
            firehose._deliver_to_s3(stream, dest, b"".join(data for _, data in records))
            return
        joined = b"\n".join(data for _, data in records)
        try:
            converted.append((joined, convert(conversion, joined)))
        except firehose._DeliveryError:
            # One bad record must not take its neighbours along to the error prefix.
            put_alone(stream, dest, list(records))
            return
        firehose._deliver_to_s3(stream, dest, joined)
        converted.clear()

    # Buffers are delivered one at a time, so there is at most one conversion to remember.
    converted: list[tuple[bytes, bytes]] = []
    convert = firehose._convert_to_parquet

    def convert_once(conversion: Any, data: bytes) -> Any:
        if converted and converted[0][0] is data:
            return converted[0][1]
        return convert(conversion, data)

    firehose._convert_to_parquet = convert_once
    return deliver
