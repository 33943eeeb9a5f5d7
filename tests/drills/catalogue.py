"""Every drill, in the order in which they are carried out."""

from collections.abc import Mapping
from types import MappingProxyType

from tests.drills.bus import BusDown, Killed
from tests.drills.clock import ClockSkew
from tests.drills.denied import KeyDenied
from tests.drills.drill import Drill
from tests.drills.events import Backlog, DuplicateStorm, Poison
from tests.drills.relay import RelayStopped, Unrelayed
from tests.drills.serving import CorruptModel, StaleConfiguration, StorageDown
from tests.drills.store import StoreSlow, StoreThrottled

__all__ = ["DRILLS"]

_ALL: tuple[type[Drill], ...] = (
    StoreThrottled,
    StoreSlow,
    BusDown,
    RelayStopped,
    Unrelayed,
    Killed,
    Poison,
    DuplicateStorm,
    ClockSkew,
    StaleConfiguration,
    CorruptModel,
    StorageDown,
    KeyDenied,
    # The last: what it leaves is looked at again by every drill that follows.
    Backlog,
)
DRILLS: Mapping[str, type[Drill]] = MappingProxyType({each.name: each for each in _ALL})
"""By name."""
