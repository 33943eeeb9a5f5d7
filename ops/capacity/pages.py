"""The pages and the picture that are made from the model."""

from pathlib import Path

from ops.capacity.cost import decisions_in_month, lines
from ops.capacity.cost_page import cost_page
from ops.capacity.needs_page import needs_page
from ops.capacity.picture import bars
from ops.capacity.work import RATES

__all__ = ["DOCS", "pages"]

DOCS = Path(__file__).resolve().parents[2] / "docs"


def pages() -> dict[Path, str]:
    """What each page has to say, by its path."""
    return {
        DOCS / "capacity.md": "\n".join(needs_page()) + "\n",
        DOCS / "cost.md": "\n".join(cost_page()) + "\n",
        DOCS / "images" / "cost.svg": bars(
            "Dollars for a million decisions, by service",
            {
                f"{rate:,} a second": {
                    name: dollars / decisions_in_month(rate) * 1e6 for name, dollars in _parts(rate).items()
                }
                for rate in RATES
            },
        ),
    }


def _parts(rate: float) -> dict[str, float]:
    """Dollars by service, the largest told apart: what the tables keep, and what they are asked."""
    parts: dict[str, float] = {}
    for line in lines(rate):
        name = line.service
        if name == "DynamoDB":
            name = "tables, storage" if "storage" in line.what else "tables, reads and writes"
        parts[name] = parts.get(name, 0.0) + line.dollars
    return parts
