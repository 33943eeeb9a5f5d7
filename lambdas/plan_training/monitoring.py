"""The plan of a look at the lake: what `python -m training monitor` reads, and by which bounds it judges."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fraud.monitoring import MonitoringPolicy
from fraud.release import RunPolicy
from fraud.runids import run_id_of

from .plans import Part, choose_engine, machines_to_read, read_from

__all__ = ["Look", "monitoring"]


class LookInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person or a schedule may say when starting a look; all of it is optional.

    Attributes
    ----------
    days : float
        How long the report looks back; as the deployment's policy says without it.
    reason : str
        For those who read the list of executions later.
    """

    days: Annotated[float, Meta(gt=0, le=31)] | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A look's plan, as the job reads it.

    Attributes
    ----------
    as_of : int
        In ms since the epoch: the start of the execution.
    champion : str
        The bundle that serves; empty if none does.
    evaluated : bool
        Whether the run that made it left an evaluation.
    snapshot : dict
        Of the lake's parts that held something.
    """

    run_id: str
    as_of: int
    reason: str
    champion: str
    evaluated: bool
    engine: str
    policy: RunPolicy
    monitoring: MonitoringPolicy
    snapshot: dict[str, Part]

    def state(self, *, lake: str, models: str) -> dict[str, Any]:
        """The state of the execution.

        Parameters
        ----------
        lake, models : str
            Buckets.
        """
        place = f"s3://{models}/monitoring/{self.run_id}/"
        inputs = {"plan": f"{place}plan/", **{source: f"s3://{lake}/{source}/" for source in self.snapshot}}
        if self.champion:
            inputs["champion"] = f"s3://{models}/bundles/{self.champion}/"
        if self.evaluated:
            inputs["evaluation"] = f"s3://{models}/runs/{self.champion}/evaluation/"
        size = sum(part.bytes for part in self.snapshot.values())
        return {
            "run_id": self.run_id,
            # Before the first decision there is nothing to look at.
            "looks": "decisions" in self.snapshot,
            "place": place,
            "arguments": ["monitor", "--engine", self.engine],
            "inputs": [read_from(name, uri) for name, uri in inputs.items()],
            "machines": msgspec.to_builtins(machines_to_read(self.engine, size)),
        }


def monitoring(
    event: dict[str, Any],
    *,
    champion: str,
    evaluated: bool,
    snapshots: Mapping[str, Part | None],
    own: RunPolicy,
    bounds: MonitoringPolicy,
) -> Look:
    """What a look reads and judges by.

    Parameters
    ----------
    event : dict
        ``monitor`` (the execution's name), ``started_at`` (ISO 8601) and its ``input``.
    snapshots : mapping of str to Part or None
        What each part of the lake holds; None where it has no objects.
    own, bounds : RunPolicy, MonitoringPolicy
        The deployment's.

    Raises
    ------
    ValueError
        If the input holds something unknown or impossible; the message names the field.
    """
    try:
        asked = msgspec.convert(event.get("input") or {}, LookInput)
    except msgspec.ValidationError as error:
        raise ValueError(f"the execution's input: {error}; it may hold days and reason") from None
    held = {source: part for source, part in snapshots.items() if part is not None}
    return Look(
        run_id=run_id_of(event["monitor"]),
        as_of=round(datetime.fromisoformat(event["started_at"]).timestamp() * 1_000),
        reason=asked.reason,
        champion=champion,
        evaluated=evaluated,
        engine=choose_engine("auto", sum(part.bytes for part in held.values())),
        policy=own,
        monitoring=bounds if asked.days is None else msgspec.structs.replace(bounds, days=asked.days),
        snapshot=held,
    )
