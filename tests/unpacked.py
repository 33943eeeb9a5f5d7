"""How much a built folder takes where it runs."""

from pathlib import Path


def unpacked_size(root: Path) -> int:
    """The bytes that the files under `root` take once unpacked."""
    return sum(each.stat().st_size for each in root.rglob("*") if each.is_file())
