"""What merchants set, from the operators' side: the same checks as in the API, straight on the table."""

from ops.settings.desk import Desk, RefusedError
from ops.settings.imports import import_entries

__all__ = ["Desk", "RefusedError", "import_entries"]
