"""The plan of a look at the lake: what `python -m training monitor` reads, and by which bounds it judges."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fraud.features import STANDARD
from fraud.manifest import MANIFEST_FILE
from fraud.monitoring import MonitoringPolicy
from fraud.release import RunPolicy
from fraud.runids import run_id_of
from fraud.windows import DAY

from .plans import Part, choose_engine, machines_to_read, read_from

__all__ = ["Look", "LookInput", "monitoring", "needed_since", "read_look"]


class LookInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person or a schedule may say when starting a look; all of it is optional.

    Attributes
    ----------
    days : float
        How long the report looks back; as the deployment's policy says without it.
    reason : str
        For those who read the list of executions later.
    look_only : bool
        Whether the report is all: no metric is counted and no retraining started.
    """

    days: Annotated[float, Meta(gt=0, le=31)] | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""
    look_only: bool = False

    def bounds(self, own: MonitoringPolicy) -> MonitoringPolicy:
        """The deployment's policy, over the days that were asked for."""
        return own if self.days is None else msgspec.structs.replace(own, days=self.days)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A look's plan, as the job reads it.

    Attributes
    ----------
    as_of, since : int
        In ms since the epoch: the start of the execution, and from when on the lake is read; 0 for all of it.
    champion : str
        The bundle that serves; empty if none does.
    evaluated : bool
        Whether the run that made it left an evaluation.
    snapshot : dict
        Of the lake's parts that held something in these days.
    """

    run_id: str
    as_of: int
    since: int
    reason: str
    look_only: bool
    champion: str
    evaluated: bool
    engine: str
    policy: RunPolicy
    monitoring: MonitoringPolicy
    snapshot: dict[str, Part]

    def manifest_of(self, source: str) -> str:
        """The key, in the models bucket, of the list of objects that are read of a part."""
        return f"monitoring/{self.run_id}/inputs/{source}.manifest"

    def state(self, *, models: str) -> dict[str, Any]:
        """The state of the execution.

        Parameters
        ----------
        models : str
            The bucket.
        """
        place = f"s3://{models}/monitoring/{self.run_id}/"
        folders = {"plan": f"{place}plan/"}
        if self.champion:
            folders["champion"] = f"s3://{models}/bundles/{self.champion}/"
        if self.evaluated:
            folders["evaluation"] = f"s3://{models}/runs/{self.champion}/evaluation/"
        size = sum(part.bytes for part in self.snapshot.values())
        return {
            "run_id": self.run_id,
            # Before the first decision there is nothing to look at.
            "looks": "decisions" in self.snapshot,
            "look_only": self.look_only,
            "place": place,
            "arguments": ["monitor", "--engine", self.engine],
            "inputs": [
                *(read_from(name, uri) for name, uri in folders.items()),
                *(
                    read_from(source, f"s3://{models}/{self.manifest_of(source)}", kind=MANIFEST_FILE)
                    for source in self.snapshot
                ),
            ],
            "machines": msgspec.to_builtins(machines_to_read(self.engine, size)),
        }


def read_look(document: dict[str, Any] | None) -> LookInput:
    """Read an execution's input.

    Raises
    ------
    ValueError
        If it holds something unknown or impossible; the message names the field.
    """
    try:
        return msgspec.convert(document or {}, LookInput)
    except msgspec.ValidationError as error:
        fields = ", ".join(LookInput.__struct_fields__)
        raise ValueError(f"the execution's input: {error}; it may hold {fields}") from None


def needed_since(as_of: int, own: RunPolicy, bounds: MonitoringPolicy) -> int:
    """From when on a report needs what was recorded, in ms since the epoch.

    That is the longest of three: the window and the one before it; payments whose labels have matured; and, before
    the first decision of the window, whatever its features look back on, and a day for payments sent late.
    """
    days = round(bounds.days * DAY)
    labelled = own.data.maturity + round(bounds.labelled_days * DAY)
    return max(0, as_of - max(2 * days, labelled, days + STANDARD.retention + DAY))


def monitoring(
    event: dict[str, Any],
    *,
    champion: str,
    evaluated: bool,
    snapshots: Mapping[str, Part | None],
    since: int,
    own: RunPolicy,
    bounds: MonitoringPolicy,
) -> Look:
    """What a look reads and judges by.

    Parameters
    ----------
    event : dict
        ``monitor`` (the execution's name), ``started_at`` (ISO 8601) and its ``input``.
    snapshots : mapping of str to Part or None
        What each part of the lake holds since then; None where it has no objects.
    since : int
        See `needed_since`; 0 for everything.
    own, bounds : RunPolicy, MonitoringPolicy
        The deployment's.

    Raises
    ------
    ValueError
        See `read_look`.
    """
    asked = read_look(event.get("input"))
    held = {source: part for source, part in snapshots.items() if part is not None}
    return Look(
        run_id=run_id_of(event["monitor"]),
        as_of=round(datetime.fromisoformat(event["started_at"]).timestamp() * 1_000),
        since=since,
        reason=asked.reason,
        look_only=asked.look_only,
        champion=champion,
        evaluated=evaluated,
        engine=choose_engine("auto", sum(part.bytes for part in held.values())),
        policy=own,
        monitoring=asked.bounds(bounds),
        snapshot=held,
    )
