"""What a set of definitions asks of the states: checked together, entity by entity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from fraud.features.definitions import DefinitionError, Distinct, Entity, Series, WindowFeature
from fraud.state import Layout, SketchLayout
from fraud.tiles import TilesLayout
from fraud.windows import Window

__all__ = ["Read", "check_names", "check_slots", "distincts_of", "layout_of", "reads_of", "series_of"]


@dataclass(frozen=True, slots=True)
class Read:
    """One window of one series of one entity: read once, however many features share it.

    Attributes
    ----------
    parts : int
        What those features need of its tiles, as in `fraud.tiles`.
    """

    entity: Entity
    series: Series
    window: Window
    parts: int


def check_names(names: Sequence[str], entities: Sequence[Entity]) -> None:
    """Refuse two features, or two different entities, of the same name."""
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise DefinitionError(f"features with the same name: {', '.join(doubled)}; change or remove one of each")
    called = [entity.name for entity in entities]
    doubled = sorted({name for name in called if called.count(name) > 1})
    if doubled:
        raise DefinitionError(f"different entities with the same name: {', '.join(doubled)}; rename one of each")


def check_slots(features: Sequence[WindowFeature]) -> None:
    """Refuse different series, or different distinct values, in the same slot of a state."""
    series = {each for feature in features for each in feature.series}
    distincts = {feature.over for feature in features if isinstance(feature.over, Distinct)}
    for kind, slots in (
        ("series", [each.slot for each in series]),
        ("distinct values", [each.slot for each in distincts]),
    ):
        doubled = sorted({slot for slot in slots if slots.count(slot) > 1})
        if doubled:
            raise DefinitionError(
                f"different {kind} have slot {doubled[0]}; give one of them a slot never used before"
            )


def layout_of(entity: Entity, features: Sequence[WindowFeature]) -> Layout:
    """What an entity's states must keep for the features that look at it."""
    levels: dict[int, dict[int, int]] = {}
    parts: dict[int, int] = {}
    sketches: dict[int, SketchLayout] = {}
    for feature in features:
        if feature.entity != entity:
            continue
        window = feature.window
        if isinstance(feature.over, Distinct):
            kept = sketches.get(feature.over.slot, SketchLayout(feature.over.capacity, 0, window.hop))
            sketches[feature.over.slot] = SketchLayout(
                kept.capacity, max(kept.retention, window.retention), math.gcd(kept.unit, window.hop)
            )
        for series in feature.series:
            hops = levels.setdefault(series.slot, {})
            hops[window.hop] = max(hops.get(window.hop, 0), window.retention)
            needed = feature.aggregation.parts if series == feature.over else 0
            parts[series.slot] = parts.get(series.slot, 0) | needed
    tiles = {}
    for slot, hops in levels.items():
        nested = dict(sorted(hops.items()))
        for finer, coarser in pairwise(nested):
            if coarser % finer:
                raise DefinitionError(
                    f"entity {entity.name}: hops of {finer // 1_000} s and {coarser // 1_000} s do not nest, so "
                    "no level can hold both windows; let every hop divide the next longer one"
                )
        tiles[slot] = TilesLayout(parts[slot], nested)
    return Layout(tiles, sketches)


def series_of(entity: Entity, features: Sequence[WindowFeature]) -> tuple[Series, ...]:
    """The series that an entity's events are folded into."""
    needed = (series for feature in features if feature.entity == entity for series in feature.series)
    return tuple(dict.fromkeys(needed))


def distincts_of(entity: Entity, features: Sequence[WindowFeature]) -> tuple[Distinct, ...]:
    """The distinct values that an entity's states keep."""
    mine = (feature.over for feature in features if feature.entity == entity)
    return tuple(dict.fromkeys(over for over in mine if isinstance(over, Distinct)))


def reads_of(features: Sequence[WindowFeature]) -> tuple[Read, ...]:
    """Every window that the features read, each once, with the parts that they need of it together."""
    found: dict[tuple[Entity, Series, Window], int] = {}
    for feature in features:
        for series in feature.series:
            place = feature.entity, series, feature.window
            needed = feature.aggregation.parts if series == feature.over else 0
            found[place] = found.get(place, 0) | needed
    return tuple(Read(*place, parts) for place, parts in found.items())
