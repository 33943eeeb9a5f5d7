"""Where payments come from: a generated world, or anybody's table through a mapping file.

`ops.inputs.reading` (pandas, pyarrow) is imported only by those who read tables.
"""

from pathlib import Path

from ops.inputs.mapping import Mapping, MappingError, load_mapping
from ops.inputs.requests import Burst, decision_body, label_body, path, schedule, together
from ops.inputs.rows import CANONICAL, Row, from_frame, to_frame
from ops.inputs.world import World, WorldOptions, build_world

__all__ = [
    "CANONICAL",
    "MAPPINGS",
    "Burst",
    "Mapping",
    "MappingError",
    "Row",
    "World",
    "WorldOptions",
    "build_world",
    "decision_body",
    "from_frame",
    "label_body",
    "load_mapping",
    "path",
    "schedule",
    "to_frame",
    "together",
]

MAPPINGS = Path(__file__).parent / "mappings"
"""The mapping files that ship with Paywarden."""
