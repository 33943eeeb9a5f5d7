"""The life of a generation of states: announced, built, switched to, retired; or abandoned."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ops.deployment import Deployment
from runtime.stores.features import ConflictError, FeatureStore
from runtime.stores.generations import LEASE, Generation, Generations

__all__ = [
    "RETIRE",
    "GenerationError",
    "Status",
    "abandon",
    "announce",
    "bucket_marker",
    "buildable",
    "change",
    "status",
    "switch",
]

RETIRE = 600_000
"""How long the generation before is written after a switch, in ms, for reads that began before it."""


class GenerationError(Exception):
    """A generation cannot be built, switched to or given up now; the message says what to do."""


@dataclass(frozen=True)
class Status:
    """Which generations there are, and how far the one being built is.

    Attributes
    ----------
    done : int
        Buckets of the generation being built whose history is all in it; of `generations.building.buckets`.
    """

    generations: Generations
    done: int


def announce(
    store: FeatureStore, *, now: int, feature_set: str, buckets: int, lease: int = LEASE
) -> tuple[Generations, Generation]:
    """Begin a generation, or find the one that was begun before.

    Its watermark is a lease from now, so that everybody who folds an event recorded after it knows of it.

    Raises
    ------
    GenerationError
        If one is being built for other features, or an old one is still being retired.
    """
    generations, _ = store.look(())
    building = generations.building
    if building is not None:
        if building.feature_set != feature_set:
            raise GenerationError(
                f"generation {building.number} is being built for features {building.feature_set} and this code "
                f"has {feature_set}; go on with that code, or abandon it and begin anew"
            )
        return generations, building
    if now < generations.retire_at:
        left = (generations.retire_at - now) // 1_000 + 1
        raise GenerationError(f"the last switch is not over; begin in {left} s")
    building = Generation(
        number=generations.latest + 1,
        watermark=now + lease,
        feature_set=feature_set,
        buckets=buckets,
        started_at=now,
    )
    after = msgspec.structs.replace(
        generations, building=building, retiring=None, retire_at=0, latest=building.number
    )
    return change(store, generations, after), building


def switch(
    deployment: Deployment, *, clock: Callable[[], int], feature_set: str | None = None, retire: int = RETIRE
) -> Generations:
    """Let the generation that was built serve, and write the one before for a while longer.

    Parameters
    ----------
    clock : callable
        Wall-clock milliseconds.
    feature_set : str, optional
        The version that the caller's code has; a generation built for another is not switched to.

    Raises
    ------
    GenerationError
        If none is built, or it was built for other features.
    """
    store = deployment.features()
    generations, _ = store.look(())
    building = generations.building
    if building is None or not building.built:
        raise GenerationError(
            "no generation is ready to serve; run `paywarden features bootstrap` to its end first"
        )
    buildable(generations, building.number)
    if feature_set not in (None, building.feature_set):
        raise GenerationError(
            f"generation {building.number} was built for features {building.feature_set} and this code has "
            f"{feature_set}; deploy that code, or abandon it and bootstrap anew"
        )
    deployment.tell(
        "states", "switch", before={"serving": generations.serving.number}, after={"serving": building.number}
    )
    after = msgspec.structs.replace(
        generations, serving=building, building=None, retiring=generations.serving, retire_at=clock() + retire
    )
    return change(store, generations, after)


def abandon(deployment: Deployment) -> Generations:
    """Give up the generation that is being built; its states are never read, and expire.

    Raises
    ------
    GenerationError
        If none is being built.
    """
    store = deployment.features()
    generations, _ = store.look(())
    if generations.building is None:
        raise GenerationError("no generation is being built, so there is none to abandon")
    deployment.tell("states", "abandon", before={"building": generations.building.number})
    return change(store, generations, msgspec.structs.replace(generations, building=None))


def status(deployment: Deployment) -> Status:
    """Which generations there are now."""
    store = deployment.features()
    generations, _ = store.look(())
    building = generations.building
    if building is None:
        return Status(generations, 0)
    names = [bucket_marker(building.number, bucket) for bucket in range(building.buckets)]
    return Status(generations, len(store.digests(names)))


def buildable(generations: Generations, number: int) -> Generation:
    """The generation being built, if it is this one and can still come to serve.

    Raises
    ------
    GenerationError
        If it was abandoned, switched to, or filled by code with other features.
    """
    building = generations.building
    if building is None or building.number != number:
        raise GenerationError(f"generation {number} is no longer being built; it was abandoned or switched to")
    if building.mixed:
        raise GenerationError(
            f"update_features folds with other features than generation {number} is built for; deploy the code "
            "with the new features, abandon this generation and bootstrap anew"
        )
    return building


def bucket_marker(generation: int, bucket: int) -> str:
    """The name under which it is marked that all of a bucket is in a generation."""
    return f"bootstrap/{generation}/{bucket}"


def change(store: FeatureStore, before: Generations, after: Generations) -> Generations:
    """Write the generations anew.

    Raises
    ------
    GenerationError
        If someone else changed them meanwhile.
    """
    try:
        return store.change(before, after)
    except ConflictError as error:
        raise GenerationError(f"{error}; see `paywarden features status`, then run this again") from error
