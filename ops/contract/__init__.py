"""The merchants' API as an OpenAPI document and as a page: both written from the models and a table of calls."""

from pathlib import Path

__all__ = ["DOCUMENT", "PAGE"]

_FOLDER = Path(__file__).resolve().parents[2] / "docs" / "api"
DOCUMENT = _FOLDER / "openapi.json"
PAGE = _FOLDER / "index.html"
